"""Signs in like a browser, at huggate and at other proxies."""

import http.client
import re
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urljoin, urlsplit

from processes import Failed

_anybody = ssl.create_default_context()
_anybody.check_hostname = False
_anybody.verify_mode = ssl.CERT_NONE


class Browser:
    """An HTTP client that keeps connections and cookies."""

    def __init__(self, who="ada"):
        self.connections = {}
        self.cookies = {}
        self.who = who

    def ask(self, method, url, headers=None, body=None):
        to = urlsplit(url)
        origin = (to.scheme, to.netloc)
        if origin not in self.connections:
            kind = http.client.HTTPSConnection if to.scheme == "https" else http.client.HTTPConnection
            options = {"context": _anybody} if to.scheme == "https" else {}
            self.connections[origin] = kind(to.netloc, timeout=20, **options)
        sent = dict(headers or {})
        if jar := self.cookies.get(to.netloc):
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        target = (to.path or "/") + (f"?{to.query}" if to.query else "")
        connection = self.connections[origin]
        connection.request(method, target, body, sent)
        answer = connection.getresponse()
        text = answer.read()
        for line in answer.headers.get_all("set-cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            jar = self.cookies.setdefault(to.netloc, {})
            if value and "max-age=0" not in line.lower():
                jar[name.strip()] = value
            else:
                jar.pop(name.strip(), None)
        return answer.status, answer.headers, text

    def sign_in(self, url, hub):
        """Opens `url`, follows redirects, and returns the cookies."""
        self.cookies[urlsplit(hub).netloc] = {"hub_user": self.who}
        place, asked = url, 0
        while asked < 12:
            asked += 1
            status, headers, text = self.ask("GET", place, {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
            if status in (302, 303, 307):
                place = urljoin(place, headers["location"])
                continue
            if urlsplit(place).netloc == urlsplit(hub).netloc and status == 200:
                ticket = re.search(rb'name="ticket" value="([^"]+)"', text)
                if not ticket:
                    raise Failed(f"the stand-in shows no form: {text[:500]}")
                form = [("ticket", ticket[1].decode()), ("decision", "authorize"), ("org", "acme"), ("org", "example-labs")]
                status, headers, text = self.ask(
                    "POST", f"{hub}/oauth/authorize", {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form))
                if status not in (302, 303):
                    raise Failed(f"the stand-in answered {status} to the form: {text[:500]}")
                place = urljoin(place, headers["location"])
                continue
            if status == 200:
                return self.cookies.get(urlsplit(url).netloc, {})
            raise Failed(f"{place} answered {status}: {text[:500]}")
        raise Failed(f"{url} leads round in circles")


def cookie(url, hub, wanted):
    """A `Cookie` line with the cookies whose name `wanted` accepts."""
    jar = Browser().sign_in(url, hub)
    pairs = [f"{name}={value}" for name, value in jar.items() if wanted(name)]
    if not pairs:
        raise Failed(f"no session after signing in at {url}: {list(jar)}")
    return "; ".join(pairs)


class Beside:
    """Signs users in one after the other until the block ends."""

    def __init__(self, url, hub, people=2):
        self.url, self.hub, self.done, self.count = url, hub, threading.Event(), 0
        self.threads = [threading.Thread(target=self._sign_in) for _ in range(people)]

    def _sign_in(self):
        while not self.done.is_set():
            Browser().sign_in(self.url, self.hub)
            self.count += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()


def many(url, hub, wanted, count):
    """Signs in `count` times, and returns the sessions."""
    cookie(url, hub, wanted)
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: cookie(url, hub, wanted), range(count)))
