#include "serve/own_names.h"

#include "base/address.h"
#include "base/host.h"
#include "serve/authority.h"

#include <ifaddrs.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 256 };

struct cm_own_names {
    const cm_sites_t *sites;
    char *hosts; /* normalized names, each followed by a comma */
    char machine[NAME_MAX_BYTES];
};

static bool is_name(cm_str_t name)
{
    if (name.len > 2 && name.data[0] == '[')
        return name.data[name.len - 1] == ']';
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] <= ' ' || strchr(":/?#@*", name.data[i]) != NULL)
            return false;
    }
    return name.len > 0 && name.data[0] != '.';
}

int cm_own_names_new(const char *hosts, const cm_sites_t *sites, cm_own_names_t **out,
                     cm_err_t *err)
{
    cm_str_t rest = cm_str(hosts), entry;
    cm_buf_t list = CM_BUF_INIT;

    cm_buf_reserve(&list, 1);
    list.data[0] = '\0';
    while (cm_str_next(&rest, &entry)) {
        if (entry.len > 0 && !is_name(entry)) {
            cm_buf_free(&list);
            return cm_fail(err, CM_EUSAGE,
                           "http.hosts: \"%.*s\" is not a host; give a name (collector.example) or "
                           "an address (192.0.2.1, [2001:db8::1]), without a port",
                           (int)(entry.len < 100 ? entry.len : 100), entry.data);
        }
        cm_host_add(&list, entry);
        cm_buf_add_char(&list, ',');
    }
    cm_own_names_t *names = cm_alloc_zero(1, sizeof *names);
    names->sites = sites;
    names->hosts = list.data;
    if (gethostname(names->machine, sizeof names->machine - 1) < 0)
        names->machine[0] = '\0'; /* then it has no name */
    *out = names;
    return 0;
}

void cm_own_names_free(cm_own_names_t *names)
{
    if (names == NULL)
        return;
    free(names->hosts);
    free(names);
}

static bool is_listed(const cm_own_names_t *names, cm_str_t name)
{
    cm_str_t rest = cm_str(names->hosts), entry;
    cm_buf_t normal = CM_BUF_INIT;
    bool listed = false;

    cm_host_add(&normal, name);
    while (!listed && cm_str_next(&rest, &entry))
        listed = entry.len > 0 && cm_str_equal(entry, (cm_str_t){normal.data, normal.len});
    cm_buf_free(&normal);
    return listed;
}

/* "host.example" or its first label alone. */
static bool is_machine(const cm_own_names_t *names, cm_str_t name)
{
    cm_str_t machine = cm_str(names->machine);
    cm_str_t label = {machine.data, strcspn(machine.data, ".")};

    return name.len > 0 && (cm_str_equal_nocase(name, machine) || cm_str_equal_nocase(name, label));
}

static bool has_address(const struct sockaddr *own, const cm_address_t *wanted)
{
    cm_address_t address;

    return own != NULL && (own->sa_family == AF_INET || own->sa_family == AF_INET6) &&
           (cm_address_of_socket(own, &address), memcmp(&address, wanted, sizeof address) == 0);
}

/* The addresses may change while the server runs, so they are read each time. */
static bool is_own_address(cm_str_t name)
{
    cm_address_t wanted;
    struct ifaddrs *all;
    bool own = false;

    if (!cm_address_parse(name, &wanted))
        return false;
    if (cm_address_is_loopback(&wanted))
        return true;
    if (getifaddrs(&all) < 0)
        return false;
    for (const struct ifaddrs *one = all; one != NULL && !own; one = one->ifa_next)
        own = has_address(one->ifa_addr, &wanted);
    freeifaddrs(all);
    return own;
}

bool cm_own_names_has(const cm_own_names_t *names, cm_str_t name)
{
    return cm_authority_is_local(name) || is_machine(names, name) || is_listed(names, name) ||
           cm_sites_has_host(names->sites, name) || is_own_address(name);
}
