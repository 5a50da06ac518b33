#include "source/file/accesslog_columns.h"

#include "base/address.h"

enum { COLUMNS_MAX = 8 };

typedef enum kind {
    DASH,    /* no value: "-", an empty quoted text, "_" for no virtual host */
    ADDRESS, /* one address or a list of them */
    HOST,    /* a host name with a dot, or a name with a port */
    GROUP,   /* another text in brackets or parentheses */
    WORD,    /* anything else */
} kind_t;

typedef struct column {
    cm_str_t text; /* without the quotes, brackets or parentheses around it */
    kind_t kind;
    bool grouped; /* there were brackets or parentheses */
} column_t;

static int unknown_layout(cm_err_t *err, const char *what)
{
    return cm_fail(err, CM_EREJECT, "not an access log line: %s", what);
}

/* ---- splitting into columns ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(cm_str_t *rest)
{
    while (rest->len > 0 && is_blank(rest->data[0])) {
        rest->data++;
        rest->len--;
    }
}

static cm_str_t slice(cm_str_t text, size_t from, size_t to)
{
    return (cm_str_t){text.data + from, to - from};
}

/* The length of a text that begins with a quote, bracket or parenthesis, up to its closing one; 0
 * when it is not closed. */
static size_t closed_length(cm_str_t rest)
{
    const char close = rest.data[0] == '"' ? '"' : rest.data[0] == '[' ? ']' : ')';

    for (size_t at = 1; at < rest.len; at++) {
        if (rest.data[at] == '\\' && close == '"')
            at++;
        else if (rest.data[at] == close)
            return at + 1;
    }
    return 0;
}

/* The length of the first column of the text; 0 when its quote or bracket is not closed. */
static size_t column_length(cm_str_t rest)
{
    size_t at = 0;

    if (rest.data[0] == '"' || rest.data[0] == '[' || rest.data[0] == '(') {
        at = closed_length(rest);
        if (at == 0)
            return 0;
    }
    while (at < rest.len && !is_blank(rest.data[at]))
        at++;
    return at;
}

/* Takes a column. A list with blanks after its commas is one column. */
static bool take_column(cm_str_t *rest, cm_str_t *column)
{
    const char *begin = rest->data;

    for (;;) {
        size_t len = column_length(*rest);
        if (len == 0)
            return false;
        bool comma = rest->data[len - 1] == ',';
        *column = (cm_str_t){begin, (size_t)(rest->data + len - begin)};
        *rest = slice(*rest, len, rest->len);
        skip_blanks(rest);
        if (rest->len == 0 || (!comma && rest->data[0] != ','))
            return true;
    }
}

/* ---- the kind of a column ---- */

static bool is_nothing(cm_str_t text)
{
    return text.len == 0 || (text.len == 1 && strchr("-_*", text.data[0]) != NULL);
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || (c & 0x80) != 0;
}

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* The length of ":" and a port at the end of the text; 0 when there is none. */
static size_t port_length(cm_str_t text)
{
    size_t at = text.len;

    while (at > 0 && text.data[at - 1] >= '0' && text.data[at - 1] <= '9')
        at--;
    size_t digits = text.len - at;
    return at > 1 && digits > 0 && digits <= 5 && text.data[at - 1] == ':' ? digits + 1 : 0;
}

/* A name with a dot whose last part has a letter (otherwise it is a number), or any name with a
 * port. */
static bool is_host(cm_str_t text)
{
    size_t port = port_length(text), last = 0;
    bool letter = false;

    text.len -= port;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_host_char(text.data[i]))
            return false;
        if (text.data[i] == '.') {
            if (i == last) /* an empty label */
                return false;
            last = i + 1;
            letter = false;
        } else if (is_letter(text.data[i]) || (text.data[i] & 0x80) != 0) {
            letter = true;
        }
    }
    return letter && (last > 0 || port > 0);
}

/* ADDRESS when every element is an address or a mark for none, with at least one address. */
static kind_t kind_of_list(cm_str_t list)
{
    cm_address_t address;
    cm_str_t element;
    kind_t kind = DASH;

    while (cm_str_next(&list, &element)) {
        if (cm_address_parse(element, &address))
            kind = ADDRESS;
        else if (!is_nothing(element) && !cm_str_equal_nocase(element, CM_STR("unknown")))
            return WORD;
    }
    return kind;
}

static column_t column_of(cm_str_t text)
{
    column_t column = {.text = text, .kind = WORD};
    cm_address_t address;
    char first = text.data[0];

    if (cm_address_parse(text, &address)) { /* checked before brackets and quotes, because an
                                               address may have its own */
        column.kind = ADDRESS;
        column.grouped = first == '[' && text.data[text.len - 1] == ']';
        return column;
    }
    if (text.len >= 2 && closed_length(text) == text.len && strchr("\"[(", first) != NULL) {
        column.text = cm_str_trim(slice(text, 1, text.len - 1));
        column.grouped = first != '"';
    }
    if (is_nothing(column.text))
        column.kind = DASH;
    else if (memchr(column.text.data, ',', column.text.len) != NULL)
        column.kind = kind_of_list(column.text);
    else if (cm_address_parse(column.text, &address))
        column.kind = ADDRESS;
    else if (is_host(column.text))
        column.kind = HOST;
    if (column.kind == WORD) {
        cm_str_t name = {column.text.data, column.text.len - port_length(column.text)};
        if (name.len < column.text.len && is_nothing(name))
            column.kind = DASH; /* "_:80" */
        else if (column.grouped)
            column.kind = GROUP;
    }
    return column;
}

/* ---- the meaning of the columns ---- */

typedef struct columns {
    column_t all[COLUMNS_MAX];
    size_t count; /* the user is the last one */
} columns_t;

static int split(cm_str_t head, columns_t *columns, cm_err_t *err)
{
    cm_str_t text;

    columns->count = 0;
    skip_blanks(&head);
    while (head.len > 0) {
        if (columns->count == COLUMNS_MAX)
            return unknown_layout(err, "there are more columns before the time than in any known "
                                       "layout");
        if (!take_column(&head, &text))
            return unknown_layout(err, "a quote or bracket before the time is not closed");
        columns->all[columns->count++] = column_of(text);
    }
    if (columns->count < 3)
        return unknown_layout(err, "it does not begin with address, identity, user and [time]");
    return 0;
}

/* The first of several addresses, with a server's port, is a virtual host without a name: it is
 * neither the visitor nor a site. A visitor's port is 1024 or more. By chance it can be one that
 * servers often use, so an address that is the only public one stays the visitor's. */
static void find_server(columns_t *columns)
{
    column_t *first = &columns->all[0];
    cm_address_t own, next;
    int64_t port;

    if (first->kind != ADDRESS || columns->all[1].kind != ADDRESS)
        return;
    size_t digits = port_length(first->text);
    const char *colon = first->text.data + first->text.len - digits;
    if (digits < 2 ||
        (first->text.data[0] != '[' && memchr(first->text.data, ':', first->text.len) != colon) ||
        !cm_str_to_i64((cm_str_t){colon + 1, digits - 1}, &port) ||
        !cm_address_of_list(columns->all[1].text, &next) || !cm_address_parse(first->text, &own))
        return;
    bool liked = port == 8080 || port == 8443;
    if (port < 1024 || (liked && (!cm_address_is_public(&own) || cm_address_is_public(&next))))
        first->kind = DASH;
}

/* Takes the first public address or, without a public one, the first address. */
static bool find_address(const columns_t *columns, cm_access_t *access)
{
    cm_address_t one, address = {{0}};
    const cm_str_t *only = NULL;
    bool found = false, public = false;

    for (size_t i = 0; i < columns->count && !public; i++) {
        if (columns->all[i].kind != ADDRESS || !cm_address_of_list(columns->all[i].text, &one))
            continue;
        public = cm_address_is_public(&one);
        if (!found || public) {
            address = one;
            only = &columns->all[i].text;
        }
        found = true;
    }
    if (!found)
        return false;
    access->address = (cm_str_t){access->text, cm_address_write(&address, access->text)};
    if (cm_str_equal(access->address, *only))
        access->address = *only; /* a slice of the line, which lives longer */
    return true;
}

/* Whether the column can be the name of a visitor's machine. */
static bool is_visitor(const column_t *column)
{
    if (column->kind == DASH)
        return true;
    if (column->kind != WORD && column->kind != HOST)
        return false;
    for (size_t i = 0; i < column->text.len; i++) {
        if ((unsigned char)column->text.data[i] <= ' ' ||
            strchr("\"'()[]{}<>,;", column->text.data[i]) != NULL)
            return false;
    }
    return !column->grouped;
}

/* For a line without any address: the column with the name of the visitor's machine. */
static const column_t *find_machine(const columns_t *columns)
{
    const column_t *all = columns->all;
    const column_t *machine = &all[0];

    if (columns->count == 4 && all[0].kind == HOST && all[1].kind != DASH)
        machine = &all[1];
    else if (columns->count == 4 &&
             (all[1].kind != DASH || (all[2].kind != HOST && !all[2].grouped)))
        return NULL;
    else if (columns->count == 5 &&
             (all[1].kind != DASH || all[2].kind != HOST || all[3].kind != HOST))
        return NULL;
    return columns->count <= 5 && is_visitor(machine) ? machine : NULL;
}

static int fill_visitor(const columns_t *columns, cm_access_t *access, const column_t **machine,
                        cm_err_t *err)
{
    *machine = NULL;
    if (find_address(columns, access))
        return 0;
    *machine = find_machine(columns);
    if (*machine == NULL)
        return unknown_layout(err, "no column before the time is the address of a visitor");
    access->address = (*machine)->text;
    if ((*machine)->kind == DASH)
        access->address = CM_STR("-");
    else if ((*machine)->kind == HOST)
        access->address.len -= port_length(access->address);
    return 0;
}

/* A word between address and user is the identity, the name of a balancer, or a part of an unknown
 * layout. True for the first two. */
static bool is_word_known(const columns_t *columns, const column_t *machine, size_t at)
{
    const column_t *all = columns->all;

    if (at == 0)
        return all[1].kind == ADDRESS;
    if (at != columns->count - 2)
        return false;
    const column_t *before = &all[at - 1];
    if (before == machine)
        return true;
    if (before->kind != ADDRESS)
        return before->kind == DASH && all[columns->count - 1].kind == DASH;
    for (size_t i = 1; i < at; i++) {
        if (all[i].kind == DASH) /* this was the identity */
            return false;
    }
    return true;
}

static int fill_host(const columns_t *columns, const column_t *machine, cm_access_t *access,
                     cm_err_t *err)
{
    for (size_t i = 0; i + 1 < columns->count; i++) {
        const column_t *column = &columns->all[i];
        if (column == machine)
            continue;
        if (column->kind == HOST && access->host.len == 0)
            access->host = column->text;
        if (column->kind == WORD && !is_word_known(columns, machine, i))
            return unknown_layout(err, "a column between address and user is neither an address "
                                       "nor a host name (a user name is one column)");
    }
    return 0;
}

static bool is_of_address(char c, bool six)
{
    return (c >= '0' && c <= '9') || c == '.' ||
           (six && (c == ':' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')));
}

/* Whether the text contains an address: user@192.0.2.7, ip:2001:db8::7. */
static bool holds_address(cm_str_t text, bool six)
{
    cm_address_t address;
    size_t end;

    for (size_t at = 0; at < text.len; at = end + 1) {
        size_t marks = 0, last = at;
        for (end = at; end < text.len && is_of_address(text.data[end], six); end++) {
            marks += text.data[end] == (six ? ':' : '.');
            last = text.data[end] == '.' ? last : end + 1;
        }
        while (at + 1 < last &&
               (text.data[at] == '.' || (text.data[at] == ':' && text.data[at + 1] != ':')))
            at++; /* the separator between the name and the address */
        if (marks >= (six ? 2 : 3) && cm_address_parse(slice(text, at, last), &address))
            return true;
    }
    return false;
}

static int fill_user(const columns_t *columns, cm_access_t *access, cm_err_t *err)
{
    const size_t last = columns->count - 1;
    const column_t *user = &columns->all[last];

    access->user = (cm_str_t){"", 0};
    if (user->kind == DASH || (user->kind == ADDRESS && !user->grouped))
        return 0; /* an address is not a user name; it was used as the address */
    if (user->grouped)
        return unknown_layout(err, "the column before the time is not a user name");
    bool host =
        user->kind == HOST &&
        (port_length(user->text) > 0 ||
         (user->text.len > 4 && memcmp(user->text.data, "www.", 4) == 0) ||
         (last >= 3 && columns->all[last - 1].kind == DASH && columns->all[last - 2].kind == DASH));
    if (host)
        return unknown_layout(err, "the column before the time is a host name, not a user name");
    if (!holds_address(user->text, false) && !holds_address(user->text, true))
        access->user = user->text; /* otherwise the address identifies the visitor */
    return 0;
}

int cm_accesslog_parse_columns(cm_str_t head, cm_access_t *access, cm_err_t *err)
{
    columns_t columns;
    const column_t *machine;

    access->host = (cm_str_t){"", 0};
    int rc = split(cm_accesslog_skip_prefix(head), &columns, err);
    if (rc < 0)
        return rc;
    find_server(&columns);
    if ((rc = fill_visitor(&columns, access, &machine, err)) < 0 ||
        (rc = fill_host(&columns, machine, access, err)) < 0)
        return rc;
    return fill_user(&columns, access, err);
}
