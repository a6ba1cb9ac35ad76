/* An echo server on libevent's bufferevents: input is moved to output without copying. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#define BACKLOG 1024

static void on_read(struct bufferevent *connection, void *arg) {
    (void)arg;
    bufferevent_write_buffer(connection, bufferevent_get_input(connection));
}

static void on_event(struct bufferevent *connection, short what, void *arg) {
    (void)arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(connection);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int length,
                      void *arg) {
    struct event_base *base = evconnlistener_get_base(listener);
    struct bufferevent *connection = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

    (void)peer;
    (void)length;
    (void)arg;
    if (connection == NULL) {
        evutil_closesocket(fd);
        return;
    }
    bufferevent_setcb(connection, on_read, NULL, on_event, NULL);
    if (bufferevent_enable(connection, EV_READ | EV_WRITE) < 0)
        bufferevent_free(connection);
}

int main(int argc, char **argv) {
    struct event_base *base;
    struct evconnlistener *listener;
    struct sockaddr_in address;
    socklen_t length = sizeof address;

    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("libevent %s\n", event_get_version());
        return 0;
    }
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    base = event_base_new();
    if (base == NULL) {
        fprintf(stderr, "echo_libevent_bufferevent: event_base_new failed\n");
        return 1;
    }
    listener = evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG,
                                       (struct sockaddr *)&address, sizeof address);
    if (listener == NULL || getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length) < 0) {
        fprintf(stderr, "echo_libevent_bufferevent: listening on 127.0.0.1 failed: %s\n", strerror(errno));
        return 1;
    }
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return event_base_dispatch(base);
}
