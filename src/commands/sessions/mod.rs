//! `huggate sessions`: lists, counts and ends sessions.

mod running_gate;
mod table;

use std::path::Path;

use huggate::clock::Clock;
use huggate::config::{AdminSettings, Config, Environment};
use huggate::session::{
    ListedSession, SessionAdmin, SessionAdminError, SessionFilter, SessionSettings, StoreSettings,
};
use huggate::store::{SessionKey, StoreLocation};
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::print;
use running_gate::RunningGate;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the sessions
    List(Selection),
    /// Count the sessions
    Count(Selection),
    /// End sessions: one of --user, --id and --all is required
    #[command(arg_required_else_help = true)]
    Revoke(Selection),
}

#[derive(Debug, clap::Args)]
struct Selection {
    /// The sessions of this person: a user name or an account id
    #[arg(long, value_name = "NAME-OR-ID", conflicts_with_all = ["id", "all"])]
    user: Option<String>,
    /// One session, by its id: the `sid` of the assertion
    #[arg(long, value_name = "SID", conflicts_with = "all", value_parser = session_key)]
    id: Option<SessionKey>,
    /// All sessions
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Selection {
    fn filter(&self) -> Option<SessionFilter> {
        match (&self.user, self.id, self.all) {
            (Some(user), ..) => Some(SessionFilter::Person(user.clone())),
            (None, Some(id), _) => Some(SessionFilter::Id(id)),
            (None, None, true) => Some(SessionFilter::All),
            (None, None, false) => None,
        }
    }
}

fn session_key(text: &str) -> Result<SessionKey, String> {
    SessionKey::parse(text)
        .ok_or_else(|| "it is not the id of a session; `huggate sessions list` shows ids".to_owned())
}

/// Runs the command and returns its output.
pub(crate) async fn run(
    Arguments { action }: &Arguments,
    path: Option<&Path>,
    environment: &Environment,
) -> Result<String, Failure> {
    let config =
        Config::load(path, environment).map_err(|problems| Failure::Configuration(problems.to_string()))?;
    let sessions = Sessions::open(&config.gate.session, config.admin)?;
    let all = |selection: &Selection| selection.filter().unwrap_or(SessionFilter::All);
    match action {
        Action::List(selection) => sessions.list(&all(selection), selection.json).await,
        Action::Count(selection) => {
            let count = sessions.count(&all(selection)).await?;
            Ok(if selection.json {
                format!("{}\n", json!({"sessions": count}))
            } else {
                format!("{count}\n")
            })
        }
        Action::Revoke(selection) => {
            let Some(filter) = selection.filter() else {
                return Err(Failure::Configuration(
                    "say which sessions to end: --user NAME-OR-ID, --id SID or --all".to_owned(),
                ));
            };
            let revoked = sessions.revoke(&filter).await?;
            Ok(if selection.json { format!("{revoked}\n") } else { revoked_text(&revoked) })
        }
    }
}

fn revoked_text(revoked: &Value) -> String {
    let count = revoked.get("revoked").and_then(Value::as_u64).unwrap_or_default();
    match (revoked.get("not_before").and_then(Value::as_str), count) {
        (Some(time), _) => format!("sessions that began until {time} have ended\n"),
        (None, 1) => "1 session has ended\n".to_owned(),
        (None, count) => format!("{count} sessions have ended\n"),
    }
}

/// How the sessions are reached.
enum Sessions {
    Store(SessionAdmin),
    /// Only the process that serves has them open.
    Gate(RunningGate),
}

impl Sessions {
    fn open(settings: &SessionSettings, admin: Option<AdminSettings>) -> Result<Self, Failure> {
        let gate = admin.map(RunningGate::new).transpose()?;
        if settings.store == StoreSettings::Memory {
            return gate.map(Self::Gate).ok_or_else(|| {
                Failure::Configuration(
                    "session.store = \"memory\" keeps sessions in the process that serves: set admin.listen, and \
                     this command asks that process; \"file:…\" and \"redis://…\" can be asked without it"
                        .to_owned(),
                )
            });
        }
        if let Some(StoreLocation::File(path)) = &settings.store_location
            && !path.exists()
        {
            // Opening it would make a file that belongs to whoever runs this command, and the
            // gate may be another user.
            return gate.map(Self::Gate).ok_or_else(|| {
                Failure::Run(format!(
                    "{} does not exist: `huggate serve` makes it when it starts; if the path is right, there are no \
                     sessions",
                    path.display()
                ))
            });
        }
        let opened = SessionAdmin::new(settings, Clock::system());
        match (opened, gate) {
            (Ok(admin), Some(gate)) if !admin.is_shared() => {
                drop(admin);
                Ok(Self::Gate(gate))
            }
            (Ok(admin), _) => Ok(Self::Store(admin)),
            // Another process has the file: the gate.
            (Err(_), Some(gate)) => Ok(Self::Gate(gate)),
            (Err(error), None) => {
                let why = super::failure::with_causes(&error);
                Err(Failure::Run(format!(
                    "{why}; if `huggate serve` has it open, set admin.listen, and this command asks that process"
                )))
            }
        }
    }

    async fn list(&self, filter: &SessionFilter, json: bool) -> Result<String, Failure> {
        let mut out = table::Printer::new(json);
        match self {
            Self::Store(admin) => {
                let mut pages = admin.pages(filter).await.map_err(failed)?;
                print(&out.head());
                while let Some(page) = pages.next().await.map_err(failed)? {
                    print(
                        &page
                            .iter()
                            .map(|session: &ListedSession| out.line(&json!(session)))
                            .collect::<String>(),
                    );
                }
            }
            Self::Gate(gate) => {
                let found = gate.list(filter).await?;
                print(&out.head());
                print(&found.iter().map(|session| out.line(session)).collect::<String>());
            }
        }
        Ok(out.end())
    }

    async fn count(&self, filter: &SessionFilter) -> Result<u64, Failure> {
        match self {
            Self::Store(admin) => admin.count(filter).await.map_err(failed),
            Self::Gate(gate) => {
                let found = gate.list(filter).await?;
                Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
            }
        }
    }

    /// What a revocation did, as JSON.
    async fn revoke(&self, filter: &SessionFilter) -> Result<Value, Failure> {
        match self {
            Self::Store(admin) => Ok(json!(admin.revoke_elsewhere(filter).await.map_err(failed)?)),
            Self::Gate(gate) => gate.revoke(filter).await,
        }
    }
}

fn failed(error: impl Into<SessionAdminError>) -> Failure {
    match error.into() {
        error @ SessionAdminError::Store(_) => Failure::run(&error),
        error => Failure::configuration(&error),
    }
}
