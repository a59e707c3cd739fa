/*
 * The DER of the client certificate of this connection, as the TLS library verified it.
 *
 * In C because the connection's structure depends on how the server was built. pg_stat_ssl would give the issuer
 * cut to 63 characters, and a serial number alone names a certificate only within one issuer.
 */
#include "postgres.h"
/* The GSSAPI members lie behind pointers; leaving them out spares a dependency on Kerberos headers. */
#undef ENABLE_GSS
#include "libpq/libpq-be.h"
#include "miscadmin.h"

int			kakunin_peer_certificate(unsigned char *out, int size);

/*
 * Writes at most size bytes to out. Returns the certificate's length, 0 when there is none (no TLS, no client
 * certificate, a parallel worker), or -1 when it does not fit.
 */
int
kakunin_peer_certificate(unsigned char *out, int size)
{
#ifdef USE_OPENSSL
	int			length;

	if (MyProcPort == NULL || !MyProcPort->ssl_in_use || MyProcPort->peer == NULL || !MyProcPort->peer_cert_valid)
		return 0;
	length = i2d_X509(MyProcPort->peer, NULL);
	if (length <= 0)
		return 0;
	if (length > size)
		return -1;
	return i2d_X509(MyProcPort->peer, &out);
#else
	return 0;
#endif
}
