/*
 * The TLS side of the listener.
 */

#ifndef MOCK_TLS_H
#define MOCK_TLS_H

#include <openssl/ssl.h>


/* A server context with certificate chain and key (PEM), or NULL after a
 * message on stderr. */
SSL_CTX *mock_tls_context(const char *cert, const char *key);


#endif /* MOCK_TLS_H */
