/* An echo server on libevent's plain events: one persistent read event for each connection. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <event2/event.h>
#include <event2/listener.h>

#define BUFFER 8192
#define BACKLOG 1024

typedef struct {
    struct event *readable;
    struct event *writable; /* made when a send first falls short */
    char *unsent;
    size_t unsent_length;
} connection_t;

static char buffer[BUFFER];

static int would_block(void) {
    return errno == EAGAIN || errno == EINTR;
}

static void close_connection(connection_t *connection, evutil_socket_t fd) {
    event_free(connection->readable);
    if (connection->writable != NULL)
        event_free(connection->writable);
    free(connection->unsent);
    free(connection);
    close(fd);
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    connection_t *connection = arg;
    ssize_t sent = send(fd, connection->unsent, connection->unsent_length, MSG_NOSIGNAL);

    (void)what;
    if (sent < 0) {
        if (!would_block())
            close_connection(connection, fd);
        return;
    }
    connection->unsent_length -= (size_t)sent;
    memmove(connection->unsent, connection->unsent + sent, connection->unsent_length);
    if (connection->unsent_length == 0) {
        free(connection->unsent);
        connection->unsent = NULL;
        event_del(connection->writable);
        event_add(connection->readable, NULL);
    }
}

static int keep_unsent(connection_t *connection, evutil_socket_t fd, const char *data, size_t length) {
    connection->unsent = malloc(length);
    if (connection->unsent == NULL)
        return -1;
    memcpy(connection->unsent, data, length);
    connection->unsent_length = length;
    if (connection->writable == NULL) {
        struct event_base *base = event_get_base(connection->readable);
        connection->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, connection);
        if (connection->writable == NULL)
            return -1;
    }
    event_del(connection->readable);
    return event_add(connection->writable, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    connection_t *connection = arg;
    ssize_t received = recv(fd, buffer, sizeof buffer, 0);
    ssize_t sent;

    (void)what;
    if (received <= 0) {
        if (received == 0 || !would_block())
            close_connection(connection, fd);
        return;
    }
    sent = send(fd, buffer, (size_t)received, MSG_NOSIGNAL);
    if (sent == received)
        return;
    if (sent < 0 && would_block())
        sent = 0;
    if (sent < 0 || keep_unsent(connection, fd, buffer + sent, (size_t)(received - sent)) < 0)
        close_connection(connection, fd);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int length,
                      void *arg) {
    struct event_base *base = evconnlistener_get_base(listener);
    connection_t *connection = calloc(1, sizeof *connection);

    (void)peer;
    (void)length;
    (void)arg;
    if (connection == NULL) {
        close(fd);
        return;
    }
    connection->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    if (connection->readable == NULL) {
        free(connection);
        close(fd);
        return;
    }
    if (event_add(connection->readable, NULL) < 0)
        close_connection(connection, fd);
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
        fprintf(stderr, "echo_libevent_event: event_base_new failed\n");
        return 1;
    }
    listener = evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG,
                                       (struct sockaddr *)&address, sizeof address);
    if (listener == NULL || getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length) < 0) {
        fprintf(stderr, "echo_libevent_event: listening on 127.0.0.1 failed: %s\n", strerror(errno));
        return 1;
    }
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return event_base_dispatch(base);
}
