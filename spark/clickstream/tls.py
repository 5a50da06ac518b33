"""Certificates for Cassandra's connector, which is Java and reads them from a key store."""

import atexit
import hashlib
import os
import re
import ssl
import struct
import tempfile

from clickstream.errors import JobError

TRUST_PASSWORD = "clickmill"  # of a file that contains nothing secret
TRUST_STORE = "spark.cassandra.connection.ssl.trustStore."
CIPHERS = ",".join(("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", *(
    "TLS_ECDHE_%s_WITH_AES_%s" % (key, cipher) for key in ("ECDSA", "RSA")
    for cipher in ("256_GCM_SHA384", "128_GCM_SHA256"))))


def trust_store(pem, shared):
    """Writes the certificates of a PEM file into a Java key store (JKS) and returns its path. The
    key store lies in the temporary directory and is deleted at exit; a shared one lies beside the
    PEM file, where all machines can read it, and stays."""
    with open(pem, encoding="ascii") as file:
        found = re.findall("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", file.read(),
                           re.S)
    if not found:
        raise JobError("%s contains no certificate: it must be a PEM file" % pem)
    body = struct.pack(">III", 0xfeedfeed, 2, len(found))
    for number, text in enumerate(found):
        name, der = b"ca%d" % number, ssl.PEM_cert_to_DER_cert(text)
        body += struct.pack(">IH", 2, len(name)) + name + struct.pack(">QH", 0, 5) + b"X.509"
        body += struct.pack(">I", len(der)) + der
    # JKS ends with a SHA-1 of the password, this constant and the contents.
    body += hashlib.sha1(TRUST_PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()
    if shared:
        opened = path = pem + ".clickmill.jks"
    else:
        opened, path = tempfile.mkstemp(prefix="clickmill-trust-", suffix=".jks")
        atexit.register(lambda: os.path.exists(path) and os.unlink(path))
    with open(opened, "wb") as file:
        file.write(body)
    return path


def trust(settings):
    """Adds to the settings the options that make Cassandra's connector trust their certificates."""
    authorities, options = settings.get("ca", {}), settings.setdefault("options", {})
    if options.get("spark.cassandra.connection.ssl.enabled") == "true":
        # Current servers accept none of the cipher suites that the connector offers by default.
        options.setdefault("spark.cassandra.connection.ssl.enabledAlgorithms", CIPHERS)
    if authorities.get("cassandra"):
        options.update({
            TRUST_STORE + "path": trust_store(
                authorities["cassandra"], authorities.get("shared", False)),
            TRUST_STORE + "password": TRUST_PASSWORD, TRUST_STORE + "type": "JKS"})
