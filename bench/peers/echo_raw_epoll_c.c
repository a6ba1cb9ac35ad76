/* The yardstick in C: the same system calls as echo_raw_epoll.rs, made through libc. */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <gnu/libc-version.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define BUFFER 8192
#define EVENTS 1024
#define BACKLOG 1024

typedef struct {
    int fd;
    char *unsent;
    size_t unsent_length;
} connection_t;

static char buffer[BUFFER];
static struct epoll_event events[EVENTS];
static int epoll;

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "echo_raw_epoll_c: %s failed: %s\n", what, strerror(errno));
        exit(1);
    }
}

static int would_block(void) {
    return errno == EAGAIN || errno == EINTR;
}

static void await(connection_t *connection, int operation, uint32_t interest) {
    struct epoll_event event = {.events = interest, .data.ptr = connection};
    check(epoll_ctl(epoll, operation, connection->fd, &event), "epoll_ctl");
}

static void close_connection(connection_t *connection) {
    close(connection->fd);
    free(connection->unsent);
    free(connection);
}

static void echo(connection_t *connection) {
    ssize_t received = recv(connection->fd, buffer, sizeof buffer, 0);
    ssize_t sent;

    if (received <= 0) {
        if (received == 0 || !would_block())
            close_connection(connection);
        return;
    }
    sent = send(connection->fd, buffer, (size_t)received, MSG_NOSIGNAL);
    if (sent == received)
        return;
    if (sent < 0) {
        if (!would_block()) {
            close_connection(connection);
            return;
        }
        sent = 0;
    }
    connection->unsent_length = (size_t)(received - sent);
    connection->unsent = malloc(connection->unsent_length);
    if (connection->unsent == NULL) {
        close_connection(connection);
        return;
    }
    memcpy(connection->unsent, buffer + sent, connection->unsent_length);
    await(connection, EPOLL_CTL_MOD, EPOLLOUT);
}

static void flush_unsent(connection_t *connection) {
    ssize_t sent = send(connection->fd, connection->unsent, connection->unsent_length, MSG_NOSIGNAL);

    if (sent < 0) {
        if (!would_block())
            close_connection(connection);
        return;
    }
    connection->unsent_length -= (size_t)sent;
    memmove(connection->unsent, connection->unsent + sent, connection->unsent_length);
    if (connection->unsent_length == 0) {
        free(connection->unsent);
        connection->unsent = NULL;
        await(connection, EPOLL_CTL_MOD, EPOLLIN);
    }
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        connection_t *connection;

        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        check(fd, "accept4");
        connection = calloc(1, sizeof *connection);
        if (connection == NULL) {
            close(fd);
            continue;
        }
        connection->fd = fd;
        await(connection, EPOLL_CTL_ADD, EPOLLIN);
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL};
    socklen_t length = sizeof address;
    int listener;

    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("glibc %s\n", gnu_get_libc_version());
        return 0;
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    check(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
    check(listen(listener, BACKLOG), "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);

    check(epoll = epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening), "epoll_ctl");
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        if (ready < 0 && errno == EINTR)
            continue;
        check(ready, "epoll_wait");
        for (int i = 0; i < ready; i++) {
            connection_t *connection = events[i].data.ptr;
            if (connection == NULL)
                accept_all(listener);
            else if (connection->unsent == NULL)
                echo(connection);
            else
                flush_unsent(connection);
        }
    }
}
