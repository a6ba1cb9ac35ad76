/* An echo server on libuv: one shared read buffer, uv_try_write first, uv_write for what that leaves. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <uv.h>

#define BUFFER 8192
#define BACKLOG 1024

typedef struct {
    uv_write_t request;
    char data[];
} unsent_t;

static char buffer[BUFFER];

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "echo_libuv: %s failed: %s\n", what, uv_strerror(result));
        exit(1);
    }
}

static void on_close(uv_handle_t *connection) {
    free(connection);
}

static void close_connection(uv_stream_t *connection) {
    if (!uv_is_closing((uv_handle_t *)connection))
        uv_close((uv_handle_t *)connection, on_close);
}

static void on_alloc(uv_handle_t *connection, size_t suggested, uv_buf_t *buf) {
    (void)connection;
    (void)suggested;
    *buf = uv_buf_init(buffer, sizeof buffer);
}

static void on_read(uv_stream_t *connection, ssize_t received, const uv_buf_t *buf);

static void on_written(uv_write_t *request, int status) {
    uv_stream_t *connection = request->handle;
    free(request);
    if (status < 0 || uv_read_start(connection, on_alloc, on_read) < 0)
        close_connection(connection);
}

static void on_read(uv_stream_t *connection, ssize_t received, const uv_buf_t *buf) {
    uv_buf_t out;
    unsent_t *unsent;
    size_t rest;
    int sent;

    if (received == 0)
        return;
    if (received < 0) {
        close_connection(connection);
        return;
    }
    out = uv_buf_init(buf->base, (unsigned)received);
    sent = uv_try_write(connection, &out, 1);
    if (sent == received)
        return;
    if (sent == UV_EAGAIN)
        sent = 0;
    if (sent < 0) {
        close_connection(connection);
        return;
    }
    rest = (size_t)(received - sent);
    unsent = malloc(sizeof *unsent + rest);
    if (unsent == NULL) {
        close_connection(connection);
        return;
    }
    memcpy(unsent->data, buf->base + sent, rest);
    out = uv_buf_init(unsent->data, (unsigned)rest);
    uv_read_stop(connection);
    if (uv_write(&unsent->request, connection, &out, 1, on_written) < 0) {
        free(unsent);
        close_connection(connection);
    }
}

static void on_connection(uv_stream_t *listener, int status) {
    uv_tcp_t *connection;

    if (status < 0)
        return;
    connection = malloc(sizeof *connection);
    if (connection == NULL)
        return;
    uv_tcp_init(listener->loop, connection);
    if (uv_accept(listener, (uv_stream_t *)connection) < 0
        || uv_read_start((uv_stream_t *)connection, on_alloc, on_read) < 0)
        close_connection((uv_stream_t *)connection);
}

int main(int argc, char **argv) {
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    struct sockaddr_in address;
    int length = sizeof address;

    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("libuv %s\n", uv_version_string());
        return 0;
    }
    check(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
    check(uv_tcp_init(loop, &listener), "uv_tcp_init");
    check(uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0), "uv_tcp_bind");
    check(uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection), "uv_listen");
    check(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length), "uv_tcp_getsockname");
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
