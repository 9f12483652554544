// Leaving when the application has left (drain.withApplication): for a pod that ends by itself,
// where nobody tells the sidecar.
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/control/app_watch.h"
#include "agent/control/control_parts_internal.h"
#include "agent/net/socket.h"
#include "base/log.h"

struct control_app {
    struct control *control;
    int fd;
    bool was_seen; // it runs, or ran
    ev_io io;
};

static void hang_up(struct control_app *app) {
    if (app->control->loop != NULL) {
        ev_io_stop(app->control->loop, &app->io);
    }
    socket_close(app->fd);
    app->fd = -1;
}

static void on_watcher(struct ev_loop *loop UNUSED, ev_io *io, int events UNUSED) {
    struct control_app *app = io->data;
    char word = '\0';
    ssize_t len = recv(app->fd, &word, 1, MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (len == 1 && word == APP_WATCH_SAYS_SEEN) {
        app->was_seen = true;
        log_msg(LOG_INFO, "application_seen",
                "the application runs; the sidecar leaves when its last process has ended");
        return;
    }
    hang_up(app);
    if (len != 1) {
        log_msg(LOG_WARN, "application_watch",
                "the process that looks at the application is gone; this one does not leave by "
                "itself any more");
    } else { // also while a predecessor is waited for: it drains as well
        log_msg(LOG_INFO, "application_ended",
                "the application's last process has ended, so the sidecar leaves");
        control_quit(app->control);
    }
}

bool control_app_start(struct control *control, struct err *err) {
    if (!control->config->drain_with_application) {
        return true;
    }
    if (getpid() == 1) {
        return ERR_SET(
            err, ERR_ENVIRONMENT,
            "drain.withApplication: no process namespace is shared with the application, "
            "this is process 1 of its own (in a pod: shareProcessNamespace: true)");
    }
    struct control_app *app = calloc(1, sizeof(*app));
    if (app == NULL) {
        return ERR_NO_MEMORY(err, "starting");
    }
    control->app = app;
    app->control = control;
    app->fd = app_watch_start(&(struct app_watch){.proc = "/proc", .own_uid = geteuid()});
    if (app->fd < 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno,
                             "drain.withApplication: the process that looks cannot be started");
    }
    ev_io_init(&app->io, on_watcher, app->fd, EV_READ);
    app->io.data = app;
    return true;
}

void control_app_arm(struct control *control) {
    if (control->app != NULL) {
        ev_io_start(control->loop, &control->app->io);
    }
}

int control_app_watcher(const struct control *control) {
    return control->app == NULL ? -1 : control->app->fd;
}

void control_app_tell(const struct control *control, int watcher) {
    if (control->app != NULL && control->app->was_seen) {
        app_watch_tell_seen(watcher);
    }
}

bool control_app_admits(const struct control *control, const struct config *config,
                        struct err *err) {
    return config->drain_with_application == control->config->drain_with_application ||
           ERR_SET(err, ERR_INPUT,
                   "drain.withApplication: it cannot change while the sidecar runs; restart it");
}

void control_app_stop(struct control *control) {
    if (control->app == NULL) {
        return;
    }
    if (control->app->fd >= 0) {
        hang_up(control->app);
    }
    free(control->app);
}
