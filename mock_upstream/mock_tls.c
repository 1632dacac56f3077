/*
 * TLS context.  No ALPN is offered: who wants HTTP/2 of this server does not
 * get it (fault tls-no-alpn-h2).
 */

#include <stdio.h>

#include <openssl/err.h>

#include "mock_tls.h"


SSL_CTX *
mock_tls_context(const char *cert, const char *key)
{
    SSL_CTX  *ctx;

    ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL
        || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1
        || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1
        || SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1
        || SSL_CTX_check_private_key(ctx) != 1)
    {
        fputs("llm-mock: certificate or key cannot be used\n", stderr);
        ERR_print_errors_fp(stderr);
        SSL_CTX_free(ctx);
        return NULL;
    }

    /* one record may leave in pieces when the peer does not read */
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE
                     | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    return ctx;
}
