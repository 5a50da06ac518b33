#define PCRE2_CODE_UNIT_WIDTH 8
#include "enrich/ua_match.h"

#include "enrich/ua_rules.h"
#include "event/event.h"

#include <pcre2.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    GROUPS = 32, /* groups of a pattern that are stored */
    PARTS = 13,  /* of all kinds together */
    WORD_BITS = 64,
    WORDS = CM_UA_RULES / WORD_BITS,
    STEPS = 20000,           /* PCRE2's match limit; uap-core's test vectors need a tenth */
    STACK_START = 32 * 1024, /* of compiled patterns */
    STACK_LIMIT = 256 * 1024,
    FIRST_NON_ASCII = 0x80,
};

/* Modes of matching: most user agents are ASCII; for these, matching bytes gives the same result
 * and is faster. */
typedef enum mode { BYTES, UTF8, MODES } ua_mode_t;

typedef _Atomic(pcre2_code *) code_t;

struct cm_ua_rules {
    code_t *codes[MODES]; /* by rule; NULL: not needed yet */
};

struct cm_ua_matcher {
    cm_ua_rules_t *rules;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    uint8_t holds[CM_UA_CLAUSES];
    uint16_t held[CM_UA_CLAUSES]; /* the clauses that hold */
    int held_count;
    uint64_t candidates[WORDS]; /* a bit for each rule that can match */
    char texts[PARTS][CM_FIELD_MAX];
    char versions[2][CM_UA_VERSION_MAX]; /* of browser and system */
    bool try_all;
    int used;   /* of texts */
    int groups; /* that the last match has set, including group 0, the whole match */
};

cm_ua_rules_t *cm_ua_rules_new(void)
{
    cm_ua_rules_t *rules = cm_alloc_zero(1, sizeof *rules);

    for (int mode = 0; mode < MODES; mode++)
        rules->codes[mode] = cm_alloc_zero(cm_ua_first[CM_UA_KINDS], sizeof(code_t));
    return rules;
}

void cm_ua_rules_free(cm_ua_rules_t *rules)
{
    if (rules == NULL)
        return;
    for (int mode = 0; mode < MODES; mode++) {
        for (int i = 0; i < cm_ua_first[CM_UA_KINDS]; i++)
            pcre2_code_free(atomic_load_explicit(&rules->codes[mode][i], memory_order_relaxed));
        free(rules->codes[mode]);
    }
    free(rules);
}

cm_ua_matcher_t *cm_ua_matcher_new(cm_ua_rules_t *rules)
{
    cm_ua_matcher_t *matcher = cm_alloc_zero(1, sizeof *matcher);

    matcher->rules = rules;
    matcher->data = pcre2_match_data_create(GROUPS, NULL);
    matcher->context = pcre2_match_context_create(NULL);
    /* NULL when PCRE2 has no compiler for this machine; then no stack is needed. */
    matcher->stack = pcre2_jit_stack_create(STACK_START, STACK_LIMIT, NULL);
    if (matcher->data == NULL || matcher->context == NULL)
        cm_out_of_memory();
    pcre2_set_match_limit(matcher->context, STEPS);
    if (matcher->stack != NULL)
        pcre2_jit_stack_assign(matcher->context, NULL, matcher->stack);
    return matcher;
}

void cm_ua_matcher_free(cm_ua_matcher_t *matcher)
{
    if (matcher == NULL)
        return;
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    pcre2_jit_stack_free(matcher->stack);
    free(matcher);
}

void cm_ua_matcher_try_all(cm_ua_matcher_t *matcher)
{
    matcher->try_all = true;
}

/* The compiled pattern. Two threads may compile the same one; the first that finishes is kept. */
static const pcre2_code *compiled(cm_ua_rules_t *rules, ua_mode_t mode, int rule)
{
    code_t *place = &rules->codes[mode][rule];
    pcre2_code *code = atomic_load_explicit(place, memory_order_acquire), *other = NULL;
    int error;
    PCRE2_SIZE offset;

    if (code != NULL)
        return code;
    code = pcre2_compile((PCRE2_SPTR)cm_ua_rules[rule].pattern, PCRE2_ZERO_TERMINATED,
                         (cm_ua_rules[rule].caseless ? PCRE2_CASELESS : 0) |
                             (mode == UTF8 ? PCRE2_UTF | PCRE2_MATCH_INVALID_UTF : 0),
                         &error, &offset, NULL);
    if (code == NULL) /* cannot happen: a test compiles all patterns */
        return NULL;
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* if that fails, the pattern is interpreted */
    if (atomic_compare_exchange_strong_explicit(place, &other, code, memory_order_acq_rel,
                                                memory_order_acquire))
        return code;
    pcre2_code_free(code);
    return other;
}

/* ---- which clauses hold ---- */

static void hold(cm_ua_matcher_t *matcher, uint16_t clause)
{
    if (!matcher->holds[clause])
        matcher->held[matcher->held_count++] = clause;
    matcher->holds[clause] = 1;
}

/* The slot that class `class` leads to after the slot `from`. */
static inline const cm_ua_slot_t *step(const cm_ua_slot_t *from, uint8_t class)
{
    uint32_t state = from->next;
    const cm_ua_slot_t *slot = &cm_ua_slots[from->base + class];

    while (slot->owner != state && state != 0) {
        state = cm_ua_fail[state];
        slot = &cm_ua_slots[cm_ua_base[state] + class];
    }
    return slot;
}

/* Two characters outside ASCII are equal to a letter when case is ignored: U+017F to s, U+212A to
 * k. Here their last byte is read as that letter. */
static uint8_t class_of(cm_str_t agent, size_t i)
{
    const uint8_t *at = (const uint8_t *)agent.data + i;

    if (*at == 0xBF && i >= 1 && at[-1] == 0xC5)
        return cm_ua_classes['s'];
    if (*at == 0xAA && i >= 2 && at[-1] == 0x84 && at[-2] == 0xE2)
        return cm_ua_classes['k'];
    return cm_ua_classes[*at];
}

/* True for the other bytes of those two characters, which must not end the word. */
static bool is_silent(cm_str_t agent, size_t i)
{
    const uint8_t *at = (const uint8_t *)agent.data + i;
    size_t left = agent.len - i;

    return (at[0] == 0xC5 && left >= 2 && at[1] == 0xBF) ||
           (at[0] == 0xE2 && left >= 3 && at[1] == 0x84 && at[2] == 0xAA) ||
           (at[0] == 0x84 && left >= 2 && at[1] == 0xAA && i >= 1 && at[-1] == 0xE2);
}

/* Marks the clauses that hold. Returns the mode for matching the user agent. */
static ua_mode_t scan(cm_ua_matcher_t *matcher, cm_str_t agent)
{
    const cm_ua_slot_t *slot = &(cm_ua_slot_t){.next = 0}; /* the root */
    ua_mode_t mode = BYTES;

    for (int i = 0; i < matcher->held_count; i++)
        matcher->holds[matcher->held[i]] = 0;
    matcher->held_count = 0;
    hold(matcher, CM_UA_CLAUSE_ANY);
    for (size_t i = 0; i < agent.len; i++) {
        uint8_t byte = (uint8_t)agent.data[i];
        if (byte >= FIRST_NON_ASCII) {
            mode = UTF8;
            if (is_silent(agent, i))
                continue;
        }
        slot = step(slot, byte < FIRST_NON_ASCII ? cm_ua_classes[byte] : class_of(agent, i));
        const uint16_t *found = &cm_ua_found_clauses[slot->found];
        for (int clause = 1; slot->found != 0 && clause <= found[0]; clause++)
            hold(matcher, found[clause]);
    }
    return mode;
}

/* Marks the rules whose clauses hold. */
static void find_candidates(cm_ua_matcher_t *matcher)
{
    memset(matcher->candidates, matcher->try_all ? 0xFF : 0, sizeof matcher->candidates);
    for (int i = 0; i < matcher->held_count; i++) {
        const uint16_t *first = &cm_ua_clause_first[matcher->held[i]];
        for (int at = first[0]; at < first[1]; at++) {
            int rule = cm_ua_clause_rules[at];
            const uint16_t *clauses = cm_ua_rules[rule].clauses;
            uint64_t can = matcher->holds[clauses[1]] & matcher->holds[clauses[2]];
            matcher->candidates[rule / WORD_BITS] |= can << rule % WORD_BITS;
        }
    }
}

/* ---- the rules ---- */

/* The first candidate from `rule` to before `end`; `end` when there is none. */
static int next_candidate(const cm_ua_matcher_t *matcher, int rule, int end)
{
    while (rule < end) {
        uint64_t rest = matcher->candidates[rule / WORD_BITS] >> rule % WORD_BITS;
        if (rest != 0)
            return rule + __builtin_ctzll(rest) < end ? rule + __builtin_ctzll(rest) : end;
        rule = (rule / WORD_BITS + 1) * WORD_BITS;
    }
    return end;
}

/* Whether the rule's pattern matches; the match data then has its groups. */
static bool matches(cm_ua_matcher_t *matcher, int rule, ua_mode_t mode, cm_str_t agent)
{
    const pcre2_code *code = compiled(matcher->rules, mode, rule);

    if (code == NULL)
        return false;
    matcher->groups =
        pcre2_match(code, (PCRE2_SPTR)agent.data, agent.len, 0, 0, matcher->data, matcher->context);
    /* Negative: no match, or more steps or stack than allowed. */
    return matcher->groups > 0;
}

/* The first rule of the kind that matches; NULL when none does. */
static const cm_ua_rule_t *first_match(cm_ua_matcher_t *matcher, cm_ua_kind_t kind, ua_mode_t mode,
                                       cm_str_t agent)
{
    const int end = cm_ua_first[kind + 1];

    for (int i = cm_ua_first[kind]; (i = next_candidate(matcher, i, end)) < end; i++) {
        if (matches(matcher, i, mode, agent))
            return &cm_ua_rules[i];
    }
    return NULL;
}

static cm_str_t group(const cm_ua_matcher_t *matcher, cm_str_t agent, int number)
{
    const PCRE2_SIZE *places = pcre2_get_ovector_pointer(matcher->data);

    if (number >= matcher->groups || places[2 * number] == PCRE2_UNSET)
        return (cm_str_t){"", 0};
    return (cm_str_t){agent.data + places[2 * number], places[2 * number + 1] - places[2 * number]};
}

/* Appends to one of the matcher's strings; false when it is full. */
static bool add(char *text, size_t *len, cm_str_t more)
{
    size_t room = CM_FIELD_MAX - *len;
    size_t part = more.len <= room ? more.len : (size_t)cm_utf8_head(more, (int)room);

    memcpy(text + *len, more.data, part);
    *len += part;
    return part == more.len;
}

/* Fills the template from the groups, in one of the matcher's strings. */
static cm_str_t fill(cm_ua_matcher_t *matcher, const char *template, cm_str_t agent)
{
    char *text = matcher->texts[matcher->used++];
    size_t len = 0;

    for (const char *at = template; *at != '\0';) {
        bool digit = at[0] == '$' && at[1] >= '1' && at[1] <= '9';
        cm_str_t piece = digit ? group(matcher, agent, at[1] - '0') : (cm_str_t){at, 1};
        if (!add(text, &len, piece))
            break;
        at += digit ? 2 : 1;
    }
    return (cm_str_t){text, len};
}

/* Parts of a browser stay as they are; those of system and device lose white space at both ends.
 * The reference implementation does the same. */
static void find_parts(cm_ua_matcher_t *matcher, cm_ua_kind_t kind, ua_mode_t mode, cm_str_t agent,
                       cm_str_t *parts, int count)
{
    const cm_ua_rule_t *rule = first_match(matcher, kind, mode, agent);

    for (int i = 0; i < count; i++) {
        const char *template = rule != NULL ? rule->parts[i] : NULL;
        parts[i] = template != NULL && template[0] != '\0' ? fill(matcher, template, agent)
                                                           : (cm_str_t){"", 0};
        if (kind != CM_UA_BROWSER)
            parts[i] = cm_str_trim(parts[i]);
    }
    if (parts[0].len == 0)
        parts[0] = CM_STR("Other");
}

static void find_bot(cm_ua_matcher_t *matcher, ua_mode_t mode, cm_str_t agent, cm_ua_t *ua)
{
    const bool spider = cm_str_equal(ua->device.family, CM_STR("Spider"));
    const cm_ua_rule_t *rule = first_match(matcher, CM_UA_BOT, mode, agent);

    ua->bot.name = (cm_str_t){"", 0};
    ua->bot.kind = CM_BOT_NONE;
    if (rule == NULL && !spider)
        rule = first_match(matcher, CM_UA_WORDS, mode, agent);
    if (rule != NULL) {
        ua->bot.name = cm_str_trim(fill(matcher, rule->parts[0], agent));
        ua->bot.kind = rule->bot;
    } else if (spider) {
        ua->bot.name = ua->browser.family;
        ua->bot.kind = CM_BOT_OTHER;
    }
    if (ua->bot.kind != CM_BOT_NONE && ua->bot.name.len == 0)
        ua->bot.name = CM_STR("Other");
}

/* Joins the parts of a version in one of the matcher's strings. */
static cm_str_t join_version(char text[CM_UA_VERSION_MAX], const cm_str_t *parts, int count)
{
    size_t len = 0;

    for (int i = 0; i < count && parts[i].len > 0; i++) {
        const bool dot = i == 1 || (i > 1 && parts[i].data[0] >= '0' && parts[i].data[0] <= '9');
        const size_t room = CM_UA_VERSION_MAX - len - dot;
        if (parts[i].len > room)
            break;
        if (dot)
            text[len++] = '.';
        memcpy(text + len, parts[i].data, parts[i].len);
        len += parts[i].len;
    }
    return (cm_str_t){text, len};
}

void cm_ua_match(cm_ua_matcher_t *matcher, cm_str_t agent, cm_ua_t *ua)
{
    cm_str_t browser[4], os[5], device[3];
    ua_mode_t mode = scan(matcher, agent);

    find_candidates(matcher);
    matcher->used = 0;
    find_parts(matcher, CM_UA_BROWSER, mode, agent, browser, 4);
    find_parts(matcher, CM_UA_OS, mode, agent, os, 5);
    find_parts(matcher, CM_UA_DEVICE, mode, agent, device, 3);
    *ua = (cm_ua_t){
        .browser = {browser[0], browser[1], browser[2], browser[3],
                    join_version(matcher->versions[0], browser + 1, 3)},
        .os = {os[0], os[1], os[2], os[3], os[4], join_version(matcher->versions[1], os + 1, 4)},
        .device = {device[0], device[1], device[2]},
    };
    find_bot(matcher, mode, agent, ua);
}
