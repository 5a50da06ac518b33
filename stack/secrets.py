"""Certificates and passwords of the secure profile, made on the spot for one stack.

    tls/ca.pem                       what clients trust; signs the next two
    tls/server.pem, .key, .p12       every engine's: localhost, 127.0.0.1, ::1
    tls/client.pem, .key, .p12       for clients that show a certificate
    tls/truststore.p12               ca.pem for Java
    tls/foreign-*                    another authority's: nobody here trusts them
    secrets.env                      user names and passwords, for a shell and for us
"""

import os
import secrets
import shlex
import ssl

from . import cache
from .files import write

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
DAYS = "3650"
PASSWORDS = ("KAFKA_PASSWORD", "ZOOKEEPER_PASSWORD", "CASSANDRA_PASSWORD",
             "ELASTICSEARCH_PASSWORD", "SPARK_SECRET", "KEYSTORE_PASSWORD")
USERS = {"KAFKA_USERNAME": "clickmill", "ZOOKEEPER_USERNAME": "kafka",
         "CASSANDRA_USERNAME": "cassandra", "ELASTICSEARCH_USERNAME": "clickmill"}


def load(directory):
    """The secrets of a stack by name, made when there are none yet."""
    path = os.path.join(directory, "secrets.env")
    if not os.path.exists(path):
        os.makedirs(directory, exist_ok=True)
        values = {**USERS, **{name: secrets.token_hex(16) for name in PASSWORDS},
                  "STACK_CA": os.path.join(directory, "tls", "ca.pem")}
        write(path, "# Of this stack alone; made by stack/stack.py.\n" + "".join(
            "%s=%s\n" % (name, shlex.quote(value)) for name, value in values.items()), 0o600)
    with open(path, encoding="utf-8") as file:
        return dict(word.split("=", 1) for word in shlex.split(file.read(), comments=True))


def context(directory, certificate):
    """What a client of Python's needs to trust the engines of a stack, and nobody else;
    `certificate`: it shows one itself."""
    folder = os.path.join(directory, "tls")
    made = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))
    if certificate:
        made.load_cert_chain(os.path.join(folder, "client.pem"),
                             os.path.join(folder, "client.key"))
    return made


def certificates(directory, java):
    """Makes the certificates when there are none yet. Needs openssl and keytool."""
    folder = os.path.join(directory, "tls")
    if os.path.exists(os.path.join(folder, "truststore.p12")):  # the last that is made
        return
    os.makedirs(folder, mode=0o700, exist_ok=True)
    password = load(directory)["KEYSTORE_PASSWORD"]
    for prefix in ("", "foreign-"):
        authority(folder, prefix + "ca")
        issue(folder, prefix + "client", prefix + "ca", "extendedKeyUsage=clientAuth", password)
    # An engine of several nodes is a client of itself as well.
    issue(folder, "server", "ca", "extendedKeyUsage=serverAuth,clientAuth", password)
    store = os.path.join(folder, "truststore.p12")
    cache.run([os.path.join(java, "bin", "keytool"), "-importcert", "-noprompt", "-alias", "ca",
               "-storetype", "PKCS12", "-keystore", store + ".new", "-storepass", password,
               "-file", os.path.join(folder, "ca.pem")], "making the trust store")
    os.replace(store + ".new", store)


def openssl(*arguments, password=None):
    cache.run(["openssl", *arguments], "making certificates",
              environment=dict(os.environ, STACK_PASSWORD=password or ""))


def request(folder, name, *more):
    """A key and a certificate of it."""
    path = os.path.join(folder, name)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-sha256", "-days", DAYS, "-keyout", path + ".key", "-out", path + ".pem", *more)
    os.chmod(path + ".key", 0o600)


def authority(folder, name):
    request(folder, name, "-subj", "/CN=clickmill stack " + name,
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def issue(folder, name, by, usage, password):
    path, signer = os.path.join(folder, name), os.path.join(folder, by)
    request(folder, name, "-subj", "/CN=" + name, "-CA", signer + ".pem", "-CAkey",
            signer + ".key", "-addext", NAMES, "-addext", usage,
            "-addext", "basicConstraints=critical,CA:FALSE")
    openssl("pkcs12", "-export", "-name", name, "-inkey", path + ".key", "-in", path + ".pem",
            "-certfile", signer + ".pem", "-out", path + ".p12",
            "-passout", "env:STACK_PASSWORD", password=password)
    os.chmod(path + ".p12", 0o600)
