//! The program: parses arguments, runs a command, prints its output and sets the exit status.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use huggate::config::Environment;
use huggate::telemetry::{self, LogFormat};

mod commands;

use commands::Failure;
use commands::check::CheckOutcome;

/// Sign in with Hugging Face, in front of any web app.
#[derive(Debug, Parser)]
#[command(name = "huggate", version, about, long_about = None, after_help = "Without a command, huggate runs `serve`. To try it offline: huggate demo")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Configuration file [default: config.toml in the working directory]
    #[arg(long, short, global = true, env = "HUGGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    log: LogArguments,
}

#[derive(Debug, Args)]
struct LogArguments {
    /// Log filter: a level (error, warn, info, debug), or target=level pairs
    #[arg(long, global = true, env = "HUGGATE_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// Log format
    #[arg(long, global = true, env = "HUGGATE_LOG_FORMAT", value_enum, default_value = "pretty")]
    log_format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Pretty,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy in front of your app
    Serve,
    /// Run everything in one process, offline: a stand-in for huggingface.co, a sample app, and
    /// huggate in front of it
    Demo(commands::demo::Arguments),
    /// Run the stand-in for huggingface.co alone, to develop an app against
    #[command(after_help = commands::hub::users_help())]
    Hub(commands::hub::Arguments),
    /// Check the configuration and print every problem
    Check {
        /// Also ask the provider for its metadata and keys, and the app for a connection
        #[arg(long)]
        online: bool,
    },
    /// Explain how a request would be decided
    Explain(commands::explain::Arguments),
    /// List, count and end sessions
    Sessions(commands::sessions::Arguments),
    /// Print a new session secret
    Secret,
    /// Print a completion script: huggate completions bash > /etc/bash_completion.d/huggate
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[expect(clippy::print_stderr, reason = "the one place that prints")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(text) => {
            // A reader that closes the pipe early, as `head` does, is not an error.
            let _ = write!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let (status, text) = match failure {
                Failure::Configuration(text) => (2, text),
                Failure::Run(text) => (1, text),
            };
            if !text.is_empty() {
                eprintln!("{}", text.trim_end());
            }
            ExitCode::from(status)
        }
    }
}

/// Runs a command and returns its output.
fn run(arguments: Arguments) -> Result<String, Failure> {
    let format = match arguments.log.log_format {
        Format::Pretty => LogFormat::Pretty,
        Format::Json => LogFormat::Json,
    };
    telemetry::init(format, arguments.log.log.as_deref()).map_err(Failure::Configuration)?;
    // For TLS users in this process that do not choose a provider; fails if one is installed
    // already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let environment = Environment::of_process();
    let config = arguments.config.as_deref();
    match arguments.command {
        None | Some(Command::Serve) => commands::serve::run(config, environment),
        Some(Command::Demo(arguments)) => commands::demo::run(&arguments),
        Some(Command::Hub(arguments)) => commands::hub::run(&arguments),
        Some(Command::Check { online }) => {
            let check = commands::check::check(config, online, &environment);
            match commands::runtime()?.block_on(check) {
                CheckOutcome::Valid(text) => Ok(text),
                CheckOutcome::Unusable(text) => Err(Failure::Run(text)),
                CheckOutcome::Invalid(text) => Err(Failure::Configuration(text)),
            }
        }
        Some(Command::Explain(arguments)) => commands::explain::run(&arguments, config, &environment),
        Some(Command::Sessions(arguments)) => {
            commands::runtime()?.block_on(commands::sessions::run(&arguments, config, &environment))
        }
        Some(Command::Secret) => Ok(commands::secret::secret() + "\n"),
        Some(Command::Completions { shell }) => {
            Ok(commands::completions::completions(shell, &mut Arguments::command()))
        }
    }
}
