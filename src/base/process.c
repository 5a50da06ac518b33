#include "base/process.h"

#include "base/str.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

const char *cm_process_command(long pid, char text[CM_PROCESS_TEXT])
{
    char path[40];

    text[0] = '\0';
    snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return text;
    ssize_t len = read(fd, text, CM_PROCESS_TEXT - 1);
    close(fd);
    while (len > 0 && text[len - 1] == '\0')
        len--;
    for (ssize_t i = 0; i < len; i++) { /* the words are separated by NULs */
        if (text[i] == '\0')
            text[i] = ' ';
        else if (!isprint((unsigned char)text[i]) || text[i] == '`')
            text[i] = '?';
    }
    text[len > 0 ? len : 0] = '\0';
    return text;
}

enum { LISTENING = 0x0A };

/* The inode of the socket that listens on a port, from one of the kernel's tables; 0: none. */
static unsigned long find_inode(const char *table, uint16_t port)
{
    FILE *file = fopen(table, "re");
    unsigned long inode, found = 0;
    unsigned local, state;
    char line[256];

    while (file != NULL && found == 0 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu",
                   &local, &state, &inode) == 3 &&
            local == port && state == LISTENING)
            found = inode;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* Whether a process has the socket open; also false when this user may not see that. */
static bool has_socket(const char *pid, const char *socket)
{
    char path[300], target[64];
    bool found = false;

    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *files = opendir(path);
    const struct dirent *entry;
    while (files != NULL && !found && (entry = readdir(files)) != NULL) {
        ssize_t len = readlinkat(dirfd(files), entry->d_name, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        found = strcmp(target, socket) == 0;
    }
    if (files != NULL)
        closedir(files);
    return found;
}

long cm_process_listening(uint16_t port)
{
    char socket[40];
    int64_t pid = 0;

    unsigned long inode = find_inode("/proc/net/tcp", port);
    if (inode == 0)
        inode = find_inode("/proc/net/tcp6", port);
    if (inode == 0)
        return 0;
    snprintf(socket, sizeof socket, "socket:[%lu]", inode);
    DIR *all = opendir("/proc");
    const struct dirent *entry;
    while (all != NULL && pid == 0 && (entry = readdir(all)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) && has_socket(entry->d_name, socket) &&
            !cm_str_to_i64(cm_str(entry->d_name), &pid))
            pid = 0;
    }
    if (all != NULL)
        closedir(all);
    return (long)pid;
}

bool cm_process_start(pthread_t *thread, void *(*run)(void *context), void *context)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

/* On Linux each thread has its own priority. */
void cm_process_lower_priority(int by)
{
    const id_t self = (id_t)gettid();

    setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + by);
}
