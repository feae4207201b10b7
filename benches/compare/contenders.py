"""The contenders, each with a complete configuration."""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import signin
from processes import HOST, Failed, Process, free_ports

SECRET = "5e" * 32
BODIES = {"1k": 1024, "100k": 100 * 1024, "10m": 10 * 1024 * 1024}
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
MODULES = Path("/usr/lib/apache2/modules")
SCOPE = "openid profile email read-memberships"


@dataclass
class Contender:
    """A running server, and the request to send to it."""

    key: str
    name: str
    process: Process
    plain: str
    tls: str | None = None
    headers: list = field(default_factory=list)
    # Sends an auth request to the trivial backend for each request.
    asks: bool = False
    # The status for anonymous requests; none: it does not authenticate.
    refuses: bool = False
    h2: bool = True
    # Known to open connections to the app again and again, with no setting against it.
    reopens: bool = False


class World:
    """The app, the provider, the backend that allows everything, and the programs."""

    def __init__(self, folder, huggate, bare, python_bin):
        self.folder = Path(folder)
        self.huggate, self.bare, self.python_bin = huggate, bare, Path(python_bin)
        self.cores = len(os.sched_getaffinity(0))
        self.clients = {}
        self._certificate()
        self._app()
        self._backend()
        self._hub()

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def _certificate(self):
        self.cert, self.key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", self.key, "-out", self.cert], check=True, capture_output=True)

    # ---- behind the contenders ----

    def nginx(self, name, http, workers, more=""):
        """Starts Debian's nginx without root; `http` is the variable part."""
        place = self.folder / name
        place.mkdir()
        temporary = "".join(f"{kind}_temp_path {place}/{kind};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;" if os.geteuid() == 0 else ""
        config = self.write(f"{name}.conf", f"""
{user}
worker_processes {workers};
worker_rlimit_nofile 40000;
pid {place}/pid;
error_log stderr warn;
daemon off;
events {{ worker_connections 16384; }}
http {{
{temporary}
access_log off;
sendfile on;
tcp_nodelay on;
keepalive_timeout 300s;
keepalive_requests 1000000000;
{http}
}}
""")
        return Process(name, [NGINX, "-p", place, "-c", config], self.folder)

    def _app(self):
        files = self.folder / "app"
        files.mkdir()
        for name, size in BODIES.items():
            (files / name).write_bytes(b"x" * size)
        (port,) = free_ports(1)
        self.app, self.app_port = f"http://{HOST}:{port}", port
        self.app_process = self.nginx("the-app", f"""
large_client_header_buffers 8 32k;
default_type text/plain;
server {{
    listen {HOST}:{port} backlog=4096;
    root {files};
    location = /connections {{ stub_status; }}
}}""", 1)
        self.app_process.until_listening(port)

    def _backend(self):
        (port,) = free_ports(1)
        self.backend, self.backend_port = f"http://{HOST}:{port}", port
        self.backend_process = self.nginx("the-backend", f"""
server {{ listen {HOST}:{port} backlog=4096; location / {{ return 202; }} }}""", 1)
        self.backend_process.until_listening(port)

    def _hub(self):
        (port,) = free_ports(1)
        self.hub = f"http://{HOST}:{port}"
        self.hub_process = Process("huggate hub", [self.huggate, "hub", "--listen", f"{HOST}:{port}"], self.folder)
        self.hub_process.until_listening(port)

    def redis(self):
        """Starts Debian's redis-server, once; returns the setting that names it."""
        if not hasattr(self, "redis_process"):
            (port,) = free_ports(1)
            place = self.folder / "redis"
            place.mkdir()
            command = ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--dir", place]
            self.redis_process, self.redis_port = Process("redis-server", command, self.folder), port
            self.redis_process.until_listening(port)
        return f'store = "redis://{HOST}:{self.redis_port}"'

    def accepted(self):
        """How many connections the app has accepted."""
        with urllib.request.urlopen(f"{self.app}/connections", timeout=10) as answer:
            return int(re.search(rb"^\s*(\d+) \d+ \d+\s*$", answer.read(), re.M)[1])

    def register(self, callback):
        """Registers an OAuth app at the stand-in."""
        body = json.dumps({"client_name": "Bench", "redirect_uris": [callback], "scope": SCOPE}).encode()
        request = urllib.request.Request(
            f"{self.hub}/oauth/register", body, {"content-type": "application/json"}, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            client = json.load(answer)
        return client["client_id"], client["client_secret"]

    # ---- contenders ----

    def huggate_serve(self, key, access, tls=False, more="", top="", signed_in=False, wrap=(), session=""):
        """`huggate serve`; with a session if `signed_in`."""
        (port,) = free_ports(1)
        url = f"{'https' if tls else 'http'}://{HOST}:{port}"
        client, secret = self.register(f"{url}/oauth2/callback")
        files = f'[tls]\ncert_file = "{self.cert}"\nkey_file = "{self.key}"\n' if tls else ""
        config = self.write(f"huggate-{key}.toml", f"""
public_url = "{url}"
listen = "{HOST}:{port}"
upstream = "{self.app}"
{top}
{files}
[provider]
issuer = "{self.hub}"
client_id = "{client}"
client_secret = "{secret}"
scope = "{SCOPE}"
[session]
secret = "{SECRET}"
revalidate = "12h"
{session}
[access]
{access}
{more}
""")
        command = [*wrap, self.huggate, "serve", "--log", "warn", "--config", config]
        process = Process(f"huggate {key}", command, self.folder)
        process.until_listening(port)
        headers = [f"Cookie: {signin.cookie(f'{url}/1k', self.hub, is_session)}"] if signed_in else []
        return Contender(key, key, process, url, url if tls else None, headers, refuses=signed_in)

    def bare_proxy(self, key, *flags, wrap=()):
        (port,) = free_ports(1)
        command = [*wrap, self.bare, f"{HOST}:{port}", f"{HOST}:{self.app_port}", *flags]
        process = Process(f"bare {key}", command, self.folder)
        process.until_listening(port)
        return Contender(key, key, process, f"http://{HOST}:{port}")

    def nginx_proxy(self, key, asks):
        plain, tls = free_ports(2)
        # A location that sets a header inherits none, and without `Connection` it
        # would lose the upstream's keep-alive, so each location sets all headers.
        keep = 'proxy_http_version 1.1; proxy_set_header Connection "";'
        hygiene = ("proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;"
                   "proxy_set_header X-Forwarded-Proto $scheme;")
        auth = f"""
    location = /_auth {{
        internal; proxy_pass http://backend; {keep}
        proxy_pass_request_body off; proxy_set_header Content-Length "";
    }}""" if asks else ""
        process = self.nginx(key, f"""
upstream app {{ server {HOST}:{self.app_port}; keepalive 128; keepalive_requests 1000000000; }}
upstream backend {{ server {HOST}:{self.backend_port}; keepalive 128; keepalive_requests 1000000000; }}
server {{
    listen {HOST}:{plain} backlog=4096;
    listen {HOST}:{tls} ssl http2 backlog=4096;
    ssl_certificate {self.cert}; ssl_certificate_key {self.key};
    location / {{ {'auth_request /_auth;' if asks else ''} proxy_pass http://app; {keep} {hygiene} }}
    {auth}
}}""", self.cores)
        process.until_listening(plain, tls)
        return Contender(key, key, process, f"http://{HOST}:{plain}", f"https://{HOST}:{tls}", asks=asks)

    def apache_oidc(self, key):
        plain, tls = free_ports(2)
        place = self.folder / key
        place.mkdir()
        # Both ports share the session secret, so that one sign-in is enough.
        callback = f"http://{HOST}:{plain}/signed-in"
        client, secret = self.register(callback)
        modules = ["mpm_event", "authn_core", "authz_core", "authz_user", "proxy", "proxy_http", "ssl",
                   "socache_shmcb", "http2", "auth_openidc", "reqtimeout"]
        loaded = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in modules)
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        config = self.write(f"{key}.conf", f"""
{loaded}
ServerRoot {place}
ServerName {HOST}
PidFile {place}/pid
DefaultRuntimeDir {place}
Mutex pthread
ErrorLog /dev/stderr
LogLevel error
{user}
StartServers {self.cores}
ServerLimit {self.cores}
ThreadsPerChild 64
ThreadLimit 64
MaxRequestWorkers {64 * self.cores}
MinSpareThreads 1
MaxSpareThreads {64 * self.cores}
AsyncRequestWorkerFactor 20
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 300
Listen {HOST}:{plain}
Listen {HOST}:{tls}
SSLSessionCache shmcb:{place}/ssl(512000)
OIDCProviderMetadataURL {self.hub}/.well-known/openid-configuration
OIDCClientID {client}
OIDCClientSecret {secret}
OIDCRedirectURI {callback}
OIDCScope "{SCOPE}"
OIDCCryptoPassphrase {SECRET}
OIDCSessionType server-cache
OIDCCacheType shm
OIDCCookieSameSite On
OIDCPKCEMethod S256
OIDCSSLValidateServer Off
ProxyPass / {self.app}/ keepalive=On
ProxyPreserveHost On
<Location />
    AuthType openid-connect
    Require valid-user
</Location>
<VirtualHost {HOST}:{plain}>
</VirtualHost>
<VirtualHost {HOST}:{tls}>
    SSLEngine on
    SSLCertificateFile {self.cert}
    SSLCertificateKeyFile {self.key}
    Protocols h2 http/1.1
</VirtualHost>
""")
        binary = shutil.which("apache2") or "/usr/sbin/apache2"
        process = Process(key, [binary, "-f", config, "-D", "FOREGROUND"], self.folder)
        process.until_listening(plain, tls)
        url = f"http://{HOST}:{plain}"
        session = signin.cookie(f"{url}/1k", self.hub, lambda name: name == "mod_auth_openidc_session")
        return Contender(key, key, process, url, f"https://{HOST}:{tls}", [f"Cookie: {session}"], refuses=True)

    def caddy(self, key):
        plain, tls = free_ports(2)
        site = f"""
    bind {HOST}
    forward_auth {HOST}:{self.backend_port} {{
        uri /auth
    }}
    reverse_proxy {HOST}:{self.app_port}
"""
        config = self.write(f"{key}.caddy", f"""{{
    admin off
    auto_https off
    persist_config off
    log {{
        level ERROR
    }}
}}
http://{HOST}:{plain} {{{site}}}
https://{HOST}:{tls} {{
    tls {self.cert} {self.key}
{site}}}
""")
        env = {"XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
        command = [self.python_bin / "caddy", "run", "--adapter", "caddyfile", "--config", config]
        process = Process(key, command, self.folder, env)
        process.until_listening(plain, tls)
        return Contender(key, key, process, f"http://{HOST}:{plain}", f"https://{HOST}:{tls}", asks=True)

    def traefik(self, key):
        plain, tls = free_ports(2)
        dynamic = self.write(f"{key}-dynamic.yml", f"""
http:
  routers:
    plain: {{ entryPoints: [plain], rule: "PathPrefix(`/`)", service: app, middlewares: [ask] }}
    secure: {{ entryPoints: [secure], rule: "PathPrefix(`/`)", service: app, middlewares: [ask], tls: {{}} }}
  middlewares:
    ask: {{ forwardAuth: {{ address: "{self.backend}/auth" }} }}
  services:
    app: {{ loadBalancer: {{ servers: [{{ url: "{self.app}" }}] }} }}
tls:
  certificates: [{{ certFile: "{self.cert}", keyFile: "{self.key}" }}]
""")
        config = self.write(f"{key}.yml", f"""
global: {{ checkNewVersion: false, sendAnonymousUsage: false }}
log: {{ level: ERROR }}
entryPoints:
  plain: {{ address: "{HOST}:{plain}" }}
  secure: {{ address: "{HOST}:{tls}" }}
providers: {{ file: {{ filename: "{dynamic}" }} }}
""")
        process = Process(key, [self.python_bin / "traefik", f"--configFile={config}"], self.folder)
        url = f"http://{HOST}:{plain}"
        # It listens before it has loaded its routes.
        process.until("ready", lambda: _get(f"{url}/1k", [])[0] == 200)
        return Contender(key, key, process, url, f"https://{HOST}:{tls}", asks=True)

    def haproxy(self, key):
        (plain,) = free_ports(1)
        config = self.write(f"{key}.cfg", f"""
global
    nbthread {self.cores}
    maxconn 9000
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    option forwardfor
    http-reuse always
frontend in
    bind {HOST}:{plain}
    default_backend app
backend app
    server app {HOST}:{self.app_port}
""")
        process = Process(key, [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", config], self.folder)
        process.until_listening(plain)
        return Contender(key, key, process, f"http://{HOST}:{plain}")

    def oauth2_proxy(self, key, binary, reopens):
        (plain,) = free_ports(1)
        url = f"http://{HOST}:{plain}"
        client, secret = self.register(f"{url}/oauth2/callback")
        process = Process(key, [
            binary, "--provider=oidc", f"--oidc-issuer-url={self.hub}", f"--client-id={client}",
            f"--client-secret={secret}", f"--redirect-url={url}/oauth2/callback", f"--upstream={self.app}/",
            f"--http-address={HOST}:{plain}", f"--cookie-secret={SECRET[:32]}", "--cookie-secure=false",
            "--email-domain=*", f"--scope={SCOPE}", "--insecure-oidc-allow-unverified-email=true",
            "--code-challenge-method=S256", "--skip-provider-button=true", "--request-logging=false",
            "--auth-logging=false", "--standard-logging=false",
        ], self.folder)
        process.until_listening(plain)
        session = signin.cookie(f"{url}/1k", self.hub, lambda name: name.startswith("_oauth2_proxy") and "csrf" not in name)
        return Contender(key, key, process, url, None, [f"Cookie: {session}"], refuses=True, reopens=reopens)


def is_session(name):
    """The cookies of a huggate session, without those of pending sign-ins."""
    return re.fullmatch(r"(__Host-)?huggate(-\d+)?", name) is not None


def check(world, contender, url):
    """Checks the responses, and that connections to the app are reused."""
    for name, size in BODIES.items():
        status, body = _get(f"{url}/{name}", contender.headers)
        if status != 200 or len(body) != size or body.strip(b"x"):
            raise Failed(f"{contender.name} answered {status} with {len(body)} bytes to /{name}\n{contender.process.tail()}")
    if contender.refuses:
        status, _ = _get(f"{url}/1k", [])
        if status not in (302, 401, 403):
            raise Failed(f"{contender.name} answered {status} to nobody")


def _get(url, headers):
    browser = signin.Browser()
    status, _, body = browser.ask("GET", url, dict(header.split(": ", 1) for header in headers))
    for connection in browser.connections.values():
        connection.close()
    return status, body
