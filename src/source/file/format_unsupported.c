#include "source/file/format_unsupported.h"

static bool has(cm_str_t text, const char *part)
{
    return text.len > 0 && memmem(text.data, text.len, part, strlen(part)) != NULL;
}

static bool begins(cm_str_t text, const char *head)
{
    size_t len = strlen(head);

    return text.len >= len && memcmp(text.data, head, len) == 0;
}

/* Whether the text begins like the pattern. In it, "0" is any digit and any other character itself.
 */
static bool begins_like(cm_str_t text, const char *pattern)
{
    for (size_t i = 0; pattern[i] != '\0'; i++) {
        if (i >= text.len)
            return false;
        if (pattern[i] == '0' ? text.data[i] < '0' || text.data[i] > '9'
                              : text.data[i] != pattern[i])
            return false;
    }
    return true;
}

/* ---- JSON ---- */

/* Whether an object in the line has this key, at any depth. */
static bool has_key(cm_str_t line, const char *key)
{
    const size_t len = strlen(key);
    const char *at = line.data, *end = line.data + line.len;

    while (at < end && (at = memmem(at, (size_t)(end - at), key, len)) != NULL) {
        const char *behind = at + len;
        bool quoted = at > line.data && at[-1] == '"' && behind < end && *behind == '"';
        for (behind++; behind < end && *behind == ' '; behind++)
            ;
        if (quoted && behind < end && *behind == ':')
            return true;
        at += len;
    }
    return false;
}

static bool has_any(cm_str_t line, const char *const *keys)
{
    for (; *keys != NULL; keys++) {
        if (has_key(line, *keys))
            return true;
    }
    return false;
}

static const char *json_name(cm_str_t line)
{
    static const char *const events[] = {"user_id", "userId", NULL};
    static const char *const requests[] = {
        "request",       "request_uri",   "requestUri",       "uri",
        "url",           "path",          "RequestPath",      "request_path",
        "verb",          "method",        "request_method",   "requestUrl",
        "RequestMethod", "requestMethod", "ClientRequestURI", NULL};
    static const char *const statuses[] = {
        "status",      "status_code",        "statusCode",  "DownstreamStatus", "response_code",
        "resp_status", "EdgeResponseStatus", "http_status", "response_status",  "response",
        NULL};

    if (has_any(line, events))
        return NULL;
    if (has(line, "http.log.access"))
        return "an access log of Caddy (JSON)";
    if (has_key(line, "DownstreamStatus") || has_key(line, "RequestPath"))
        return "an access log of Traefik (JSON)";
    if (has_key(line, "log") && has_key(line, "stream") && has_key(line, "time"))
        return "a log file of Docker (json-file; `docker logs` writes its access log)";
    if (has_key(line, "httpRequest"))
        return "an access log of a Google Cloud load balancer (JSON)";
    if (has_key(line, "EdgeResponseStatus") || has_key(line, "ClientRequestURI"))
        return "an access log of Cloudflare (JSON)";
    if (has_key(line, "MESSAGE") && has_key(line, "__REALTIME_TIMESTAMP"))
        return "a journal in JSON (`journalctl -o short` writes its access log)";
    if (has_any(line, requests) && has_any(line, statuses))
        return has_key(line, "remote_addr") || has_key(line, "http_user_agent") ||
                       has_key(line, "body_bytes_sent")
                   ? "an access log of nginx in JSON"
                   : "an access log in JSON";
    return NULL;
}

/* ---- words between blanks ---- */

static cm_str_t take_word(cm_str_t *rest)
{
    size_t from = 0, to;

    while (from < rest->len && rest->data[from] == ' ')
        from++;
    for (to = from; to < rest->len && rest->data[to] != ' '; to++)
        ;
    cm_str_t word = {rest->data + from, to - from};
    rest->data += to;
    rest->len -= to;
    return word;
}

static bool is_status(cm_str_t word)
{
    return cm_str_equal(word, CM_STR("-")) || (word.len == 3 && begins_like(word, "000"));
}

static bool is_number(cm_str_t word)
{
    for (size_t i = 0; i < word.len; i++) {
        if ((word.data[i] < '0' || word.data[i] > '9') && word.data[i] != '.' &&
            word.data[i] != '-')
            return false;
    }
    return word.len > 0;
}

static bool has_request(cm_str_t line, const char *before)
{
    static const char *const methods[] = {"GET",     "POST",   "HEAD", "PUT",
                                          "OPTIONS", "DELETE", "PATCH"};

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char text[16];
        size_t len = strlen(before), name = strlen(methods[i]);
        memcpy(text, before, len);
        memcpy(text + len, methods[i], name);
        text[len + name] = before[0] == '"' ? ' ' : before[0];
        text[len + name + 1] = '\0';
        if (has(line, text))
            return true;
    }
    return false;
}

/* Elastic Load Balancing: time, balancer, client, target, three times taken, two statuses; newer
 * logs have the type of the connection before them. */
static const char *balancer_name(cm_str_t line)
{
    static const char *const types[] = {"http", "https", "h2", "grpcs", "ws", "wss"};
    cm_str_t rest = line, word = take_word(&rest);
    bool application = false;

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        application = application || cm_str_equal(word, cm_str(types[i]));
    if (cm_str_equal(word, CM_STR("tls")) && begins_like(take_word(&rest), "0.0") &&
        begins_like(take_word(&rest), "0000-00-00T"))
        return "an access log of a network load balancer of AWS (NLB)";
    if (application)
        word = take_word(&rest);
    if (!begins_like(word, "0000-00-00T00:00:00"))
        return NULL;
    take_word(&rest); /* the balancer */
    cm_str_t client = take_word(&rest);
    take_word(&rest); /* the target */
    bool times =
        is_number(take_word(&rest)) && is_number(take_word(&rest)) && is_number(take_word(&rest));
    if (!times || memchr(client.data, ':', client.len) == NULL || !is_status(take_word(&rest)) ||
        !is_status(take_word(&rest)))
        return NULL;
    return application ? "an access log of an application load balancer of AWS (ALB)"
                       : "an access log of a classic load balancer of AWS (ELB)";
}

/* "[06/Feb/2009:12:14:14.655]", a time with milliseconds and no zone, and then words with the times
 * taken, separated by slashes. */
static const char *haproxy_name(cm_str_t line)
{
    const char *at = line.data, *end = line.data + line.len;

    if (has(line, " haproxy[") || begins(line, "haproxy["))
        return "a log of HAProxy";
    while (at < end && (at = memchr(at, '[', (size_t)(end - at))) != NULL) {
        cm_str_t rest = {at + 1, (size_t)(end - at) - 1};
        at++;
        if (rest.len < 25 || !begins_like(rest, "00/") ||
            !begins_like((cm_str_t){rest.data + 6, rest.len - 6}, "/0000:00:00:00.000]"))
            continue;
        return "a log of HAProxy";
    }
    return NULL;
}

/* The directives at the start of files in the extended format of W3C. */
static const char *directive_name(cm_str_t line)
{
    if (begins(line, "#Software: Microsoft"))
        return "an access log of IIS (W3C extended format)";
    if (begins(line, "#Fields:"))
        return has(line, "x-edge-") ? "an access log of CloudFront"
               : has(line, "s-computername") || has(line, "cs-uri-stem") ||
                       has(line, "sc-win32-status")
                   ? "an access log of IIS (W3C extended format)"
                   : "a log in the W3C extended format";
    return NULL;
}

/* Lines of the same formats without directives. */
static const char *w3c_name(cm_str_t line)
{
    if (begins_like(line, "0000-00-00\t00:00:00\t") && has_request(line, "\t"))
        return "an access log of CloudFront";
    if (begins_like(line, "0000-00-00 00:00:00 ") && has_request(line, " "))
        return "an access log of IIS (W3C extended format)";
    return NULL;
}

const char *cm_format_unsupported_name(cm_str_t line)
{
    const char *name;

    line = cm_str_trim(line);
    if (line.len == 0)
        return NULL;
    if (line.data[0] == '{')
        return json_name(line);
    if (line.data[0] == '#')
        return directive_name(line);
    if ((name = w3c_name(line)) != NULL || (name = balancer_name(line)) != NULL ||
        (name = haproxy_name(line)) != NULL)
        return name;
    if (has(line, " REST.") && has_request(line, "\"") && has(line, " +0000] "))
        return "an access log of Amazon S3";
    if (has(line, " TCP_") && has_request(line, " "))
        return "an access log of Squid";
    return NULL;
}
