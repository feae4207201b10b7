//! Opens connections: TCP, TLS, and the user.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, RedisError, Value};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::endpoint::Endpoint;
use super::failure::Failure;
use super::parsed::Credentials;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Opens connections for one kind of server.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) tls: Option<TlsConnector>,
    pub(super) credentials: Credentials,
    pub(super) database: i64,
    /// How long opening may take, in all.
    pub(super) limit: Duration,
}

/// A connection, and the task that moves its bytes, which ends with this value.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) endpoint: Endpoint,
    connection: MultiplexedConnection,
    driver: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Whether the server closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }

    /// One round trip. Errors of the server are values among the replies.
    pub(super) async fn send(&self, commands: Vec<redis::Cmd>) -> Result<Vec<Value>, Failure> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command);
        }
        let count = pipeline.len();
        let mut connection = self.connection.clone();
        let replies = connection.send_packed_commands(&pipeline, 0, count).await;
        let replies = replies.map_err(|error| Failure::Broken(self.endpoint.clone(), error))?;
        if replies.len() != count {
            return Err(Failure::Unexpected(self.endpoint.clone(), "a pipeline"));
        }
        Ok(replies)
    }

    /// One command, whose error is a failure.
    pub(super) async fn ask(&self, command: redis::Cmd) -> Result<Value, Failure> {
        match self.send(vec![command]).await?.pop() {
            Some(Value::ServerError(error)) => Err(Failure::Server(self.endpoint.clone(), error)),
            Some(value) => Ok(value),
            None => Err(Failure::Unexpected(self.endpoint.clone(), "a command")),
        }
    }
}

impl Connector {
    /// A connection whose server takes the user and answers a `PING`.
    pub(super) async fn open(&self, endpoint: &Endpoint) -> Result<Link, Failure> {
        let opened = timeout(self.limit, async {
            let stream = self.stream(endpoint).await?;
            let config = AsyncConnectionConfig::new().set_response_timeout(None);
            let opened = MultiplexedConnection::new_with_config(&self.info(), stream, config).await;
            let (connection, driver) = opened.map_err(|error| self.refused(endpoint, error))?;
            let driver = tokio::spawn(driver).abort_handle();
            let link = Link { endpoint: endpoint.clone(), connection, driver };
            // A server that wants a password tells it here, and one that does not run is found.
            link.ask(redis::cmd("PING")).await?;
            Ok(link)
        });
        opened.await.unwrap_or_else(|_| Err(self.late(endpoint)))
    }

    /// A connection for subscriptions.
    pub(super) async fn open_pubsub(&self, endpoint: &Endpoint) -> Result<PubSub, Failure> {
        let opened = timeout(self.limit, async {
            let stream = self.stream(endpoint).await?;
            PubSub::new(&self.info(), stream).await.map_err(|error| self.refused(endpoint, error))
        });
        opened.await.unwrap_or_else(|_| Err(self.late(endpoint)))
    }

    async fn stream(&self, endpoint: &Endpoint) -> Result<Box<dyn Duplex>, Failure> {
        let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
        let tcp = tcp.map_err(|error| Failure::connect(endpoint, error))?;
        tcp.set_nodelay(true).map_err(|error| Failure::connect(endpoint, error))?;
        let Some(tls) = &self.tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from(endpoint.host.clone());
        let name = name.map_err(|error| Failure::connect(endpoint, error))?;
        let stream = tls.connect(name, tcp).await;
        Ok(Box::new(stream.map_err(|error| Failure::connect(endpoint, error))?))
    }

    fn late(&self, endpoint: &Endpoint) -> Failure {
        // A server without TLS waits for the end of a line that a handshake does not have.
        let hint = if self.tls.is_some() { "; has it TLS, as `rediss://` says?" } else { "" };
        Failure::connect(endpoint, format!("no answer within {} ms{hint}", self.limit.as_millis()))
    }

    fn info(&self) -> RedisConnectionInfo {
        // `CLIENT SETINFO` would be one command more for an ACL to allow.
        let mut info = RedisConnectionInfo::default().set_db(self.database).set_skip_set_lib_name();
        if let Some(username) = &self.credentials.username {
            info = info.set_username(username);
        }
        if let Some(password) = &self.credentials.password {
            info = info.set_password(password.expose());
        }
        info
    }

    fn refused(&self, endpoint: &Endpoint, error: RedisError) -> Failure {
        // A server that does not know a command repeats its arguments.
        let text = error.to_string();
        let password = self.credentials.password.as_ref().map(|password| password.expose());
        match password {
            Some(password) if !password.is_empty() && text.contains(password) => {
                Failure::connect(endpoint, "the server does not accept AUTH; check `username` and `password`")
            }
            _ if error.kind() == redis::ErrorKind::AuthenticationFailed => Failure::connect(
                endpoint,
                format!("the server refused the user: {text}; check `username` and `password`"),
            ),
            _ => Failure::connect(endpoint, error),
        }
    }
}

/// The TLS connector for a configuration.
pub(super) fn tls_connector(config: rustls::ClientConfig) -> TlsConnector {
    TlsConnector::from(Arc::new(config))
}
