#include "cmd/signals.h"

#include <signal.h>

enum { AGAIN_MS = 1000 };

static atomic_bool stop_asked, hurry_asked;
static atomic_llong stop_asked_ns; /* when a signal asked last; 0: none did */
static atomic_bool hurries;        /* the command ends its wait when hurry is asked */
static atomic_int hangups;         /* SIGHUPs that did not ask the command to stop */
static atomic_bool terminal_may_go;

/* The first signal asks the command to finish its work. A later one ends the process as usual, or
 * only a wait for a server where the command has set `hurries`. A signal within AGAIN_MS counts as
 * the same one: `make` passes on to its children what they have also received from the terminal. */
static void on_stop(int signal_number)
{
    long long now = cm_clock_ticks_ns(), last = 0;

    if (atomic_compare_exchange_strong(&stop_asked_ns, &last, now)) {
        atomic_store(&stop_asked, true);
    } else if (now - last <= AGAIN_MS * INT64_C(1000000)) {
        return;
    } else if (atomic_load(&hurries) && !atomic_exchange(&hurry_asked, true)) {
        atomic_store(&stop_asked_ns, now);
    } else {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
}

/* For a command that serves. A SIGHUP from a process (`kill -HUP`, a service manager) asks it to
 * read its files again. A SIGHUP from the kernel says that the terminal is gone. */
static void on_hangup(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code <= 0)
        atomic_fetch_add(&hangups, 1);
    else if (!atomic_load(&terminal_may_go))
        on_stop(signal_number);
}

void cm_signals_renew_on_hangup(void)
{
    struct sigaction hangup = {.sa_sigaction = on_hangup, .sa_flags = SA_SIGINFO};
    struct sigaction before;

    sigemptyset(&hangup.sa_mask);
    sigaction(SIGHUP, &hangup, &before);
    atomic_store(&terminal_may_go, before.sa_handler == SIG_IGN); /* nohup */
}

/* The handlers are without SA_RESTART, so that a command that waits for input or a clock wakes up.
 * A broken pipe and a file at its size limit come back as errors of write(), with a sentence. */
void cm_signals_catch(cm_app_t *app)
{
    struct sigaction stop = {.sa_handler = on_stop};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction hangup;

    sigemptyset(&stop.sa_mask);
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    /* The terminal is gone. Under nohup, which ignores SIGHUP, that does not matter. */
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
    app->stop = &stop_asked;
    app->hurry = &hurry_asked;
    app->hurries = &hurries;
    app->hangups = &hangups;
}
