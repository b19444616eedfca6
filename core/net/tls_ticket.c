/* SPDX-License-Identifier: MIT */
/*
 * Session tickets (RFC 5077, RFC 8446 section 4.6.1): the keys that seal them, one ring for the
 * whole process, so that a session goes on at any worker and over any reload.
 *
 * The newest key seals; the ring's older ones still open. Whoever had a key could read the TLS 1.2
 * sessions that it sealed, so keys live in memory alone, and are wiped when they leave the ring.
 *
 * Threads: any. A handshake takes the lock for reading, and copies the key.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>

#include "base/log.h"
#include "net/tls_context.h"

#define KEYS     3u /* the sealing one, and two more for 24 to 36 h */
#define NAME_LEN 16u
#define MAC_LEN  32u

struct ticket_key {
    unsigned char name[NAME_LEN]; /* goes into the ticket, in clear */
    unsigned char aes[32];
    unsigned char mac[MAC_LEN];
};

static struct {
    pthread_rwlock_t lock;
    pthread_once_t once;
    size_t count;
    struct ticket_key keys[KEYS]; /* newest first */
    EVP_CIPHER *cipher;           /* fetched once: fetching costs more than sealing */
} ring = {.lock = PTHREAD_RWLOCK_INITIALIZER, .once = PTHREAD_ONCE_INIT};

void tls_tickets_rotate(void)
{
    struct ticket_key key;

    if (RAND_bytes(key.name, sizeof(key.name)) != 1 ||
        RAND_priv_bytes(key.aes, sizeof(key.aes)) != 1 ||
        RAND_priv_bytes(key.mac, sizeof(key.mac)) != 1) {
        log_write(WEIR_LOG_ERROR, "tls", "no random bytes for a new ticket key; the old one stays");
        return;
    }
    pthread_rwlock_wrlock(&ring.lock);
    memmove(&ring.keys[1], &ring.keys[0], (KEYS - 1) * sizeof(ring.keys[0]));
    ring.keys[0] = key;
    if (ring.count < KEYS) {
        ring.count++;
    }
    pthread_rwlock_unlock(&ring.lock);
    OPENSSL_cleanse(&key, sizeof(key));
}

static void ring_prepare(void)
{
    ring.cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    pthread_rwlock_rdlock(&ring.lock);
    bool empty = ring.count == 0;
    pthread_rwlock_unlock(&ring.lock);
    if (empty) {
        tls_tickets_rotate();
    }
}

/* The key of that name, or the newest where `name` is NULL; its age in keys, or -1. */
static int find_key(const unsigned char *name, struct ticket_key *key)
{
    int age = -1;

    pthread_rwlock_rdlock(&ring.lock);
    for (size_t i = 0; i < ring.count && age == -1; i++) {
        if (name == NULL || memcmp(ring.keys[i].name, name, NAME_LEN) == 0) {
            *key = ring.keys[i];
            age = (int)i;
        }
    }
    pthread_rwlock_unlock(&ring.lock);
    return age;
}

static bool prepare(struct ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, int sealing)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1 &&
           EVP_CipherInit_ex2(cipher, ring.cipher, key->aes, iv, sealing, NULL) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb: -1 failure, 0 no such key (a whole handshake follows), 1
 * done, 2 done, and the client shall get a new ticket. */
static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, int sealing)
{
    struct ticket_key key;
    int result;

    int age = find_key(sealing == 1 ? NULL : name, &key);
    if (age == -1) {
        return 0;
    }
    if (sealing == 1) {
        memcpy(name, key.name, NAME_LEN);
        result = RAND_bytes(iv, EVP_CIPHER_get_iv_length(ring.cipher)) == 1 ? 1 : -1;
    } else {
        /* A TLS 1.3 client uses a ticket once (RFC 8446 appendix C.4), and needs the next one. */
        result = age > 0 || SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
    }
    if (result != -1 && !prepare(&key, iv, cipher, mac, sealing)) {
        result = -1;
    }
    OPENSSL_cleanse(&key, sizeof(key));
    return result;
}

void tls_tickets_use(SSL_CTX *ctx)
{
    pthread_once(&ring.once, ring_prepare);
    if (ring.cipher != NULL) {
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key);
    }
}
