"""A client of Elasticsearch and OpenSearch by plain HTTP, with the standard library only: it is sent
to Spark's tasks, where nothing else is installed."""

import base64
import http.client
import json
import ssl
import time
import urllib.parse
import urllib.request

from clickstream.errors import JobError

BULK_PATH = "/%s/_bulk?filter_path=errors,items.*._id,items.*.status,items.*.error"
BULK_BYTES = 4 << 20  # per request
BULK_WAITS = (1, 2, 4, 8, 15, *(30,) * 19)  # seconds; ten minutes in all
TEMPORARY = (0, 429, 502, 503, 504)  # statuses; 0: no answer


def cloud_host(cloud_id):
    """The address of a deployment in Elastic Cloud. The cloud_id is NAME:BASE64, which encodes
    HOST[:PORT]$ELASTICSEARCH$KIBANA."""
    try:
        host, name = base64.b64decode(cloud_id.rpartition(":")[2], validate=True).decode().split(
            "$")[:2]
    except ValueError:
        raise JobError(
            "the cloud_id is not valid: it is NAME:BASE64, as Elastic Cloud shows it") from None
    host, _, port = host.partition(":")
    return "https://%s.%s:%s" % (name, host, port or 443)


class NoRedirect(urllib.request.HTTPErrorProcessor):
    """Returns every response as it is. A redirected request would lose its body and send the
    password to another server."""
    http_response = https_response = lambda self, request, response: response


class Server:
    """The nodes of one cluster. An instance is pickled to the tasks with all that it needs."""

    def __init__(self, settings):
        given = {**settings.get("elastic", {}), **settings.get("secrets", {}).get("elastic", {})}
        hosts = [cloud_host(given["cloud_id"])] if given.get("cloud_id") else given["hosts"]
        self.bases = [base_of(host) for host in hosts]
        self.insecure, self.authority, self.context = given.get("insecure") is True, None, None
        authority = settings.get("ca", {}).get("elasticsearch")
        if authority:
            with open(authority, encoding="ascii") as file:
                self.authority = file.read()
        self.headers = {}
        if "authorization" in given:
            self.headers["Authorization"] = given["authorization"]
        elif "api_key" in given:
            self.headers["Authorization"] = "ApiKey " + given["api_key"]
        elif "username" in given:
            self.headers["Authorization"] = "Basic " + base64.b64encode(("%s:%s" % (
                given["username"], given["password"])).encode()).decode()

    def tls_context(self):
        if self.context is None and any(base.startswith("https:") for base in self.bases):
            self.context = ssl.create_default_context(cadata=self.authority)
            if self.insecure:
                self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        return self.context

    def __getstate__(self):
        return {**self.__dict__, "context": None}  # an SSLContext cannot be pickled

    def request_once(self, method, path, body=None, kind="application/json"):
        """Status and answer of the first node that answers; status 0 when no node does."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        opener = urllib.request.build_opener(
            NoRedirect, urllib.request.HTTPSHandler(context=self.tls_context()))
        for base in self.bases:
            request = urllib.request.Request(
                base + path, data, {**self.headers, "Content-Type": kind}, method=method)
            try:
                with opener.open(request, timeout=120) as answer:
                    return answer.status, object_of(answer.read())
            except (OSError, http.client.HTTPException) as error:
                failure = error
        return 0, {"error": "no answer: %s" % failure}

    def request(self, *request, waits=(1, 2, 4, 8)):
        """The same, repeated after waits (seconds) while the status is a temporary one."""
        for wait in (*waits, None):
            status, answer = self.request_once(*request)
            if status not in TEMPORARY or wait is None:
                return status, answer
            time.sleep(wait)

    def expect_ok(self, method, path, body=None, kind="application/json"):
        """The answer of a request that must succeed. Raises JobError."""
        status, answer = self.request(method, path, body, kind)
        if status != 200:
            raise JobError("%s to %s %s" % (self.describe(status, answer), method, path))
        return answer

    def describe(self, status, answer):
        return "Elasticsearch at %s answers %s (%s)" % (
            ", ".join(self.bases), status or "nothing", json.dumps(answer.get("error"))[:500])

    def write(self, index, documents):
        """Writes documents, each given as its two lines of a bulk request, some megabytes per
        request. Raises JobError."""
        pairs, size = [], 0
        for document in documents:
            pairs.append(document.encode())
            size += len(pairs[-1])
            if size >= BULK_BYTES:
                self.bulk(index, pairs)
                pairs, size = [], 0
        if pairs:
            self.bulk(index, pairs)

    def bulk(self, index, pairs):
        """One bulk request. The documents for which the server has no room at the moment are sent
        again. Raises JobError."""
        for wait in (*BULK_WAITS, None):
            status, answer = self.request_once("POST", BULK_PATH % index, b"".join(pairs),
                                               "application/x-ndjson")
            if status == 413 and len(pairs) > 1:
                self.bulk(index, pairs[:len(pairs) // 2])
                return self.bulk(index, pairs[len(pairs) // 2:])
            if status not in (200, *TEMPORARY):
                raise JobError("%s to a bulk request for %s" % (self.describe(status, answer), index))
            if status == 200:
                pairs = self.unwritten(index, pairs, answer)
            if not pairs:
                return None
            if wait is not None:
                time.sleep(wait)
        raise JobError("%s to a bulk request for %s, repeated for %d minutes" % (
            self.describe(status, answer), index, sum(BULK_WAITS) // 60))

    def unwritten(self, index, pairs, answer):
        """The documents that must be sent again. Raises JobError where the answer refuses one, or
        does not name them all, as the page of a proxy."""
        if answer.get("errors") is False:
            return []
        if len(answer.get("items", [])) != len(pairs):
            raise JobError("%s to a bulk request for %s" % (
                self.describe(200, {"error": answer}), index))
        left = []
        for pair, item in zip(pairs, answer["items"]):
            result = item["index"]
            if result["status"] in TEMPORARY:
                left.append(pair)
            elif result["status"] >= 300:
                raise JobError("%s refuses the document %s: %s" % (
                    index, result["_id"], json.dumps(result.get("error"))[:500]))
        return left


def object_of(text):
    """The JSON object of an answer; anything else becomes {"error": ...}."""
    try:
        value = json.loads(text or b"{}")
    except ValueError:
        value = text.decode(errors="replace")
    return value if isinstance(value, dict) else {"error": value}


def base_of(host):
    """A URL without a slash at its end, with the port that is implied."""
    url = urllib.parse.urlsplit(host if "://" in host else "http://" + host)
    port = url.port or ({"https": 443, "http": 80}[url.scheme] if "://" in host else 9200)
    name = "[%s]" % url.hostname if ":" in url.hostname else url.hostname
    return "%s://%s:%d%s" % (url.scheme, name, port, url.path.rstrip("/"))
