//! Passwords checked with argon2: requests that burn CPU, kept off the loop.
//!
//! ```text
//! cargo run --release -p login -- --model reactor-pool --account ada=countess
//! curl localhost:8080/login -d 'ada=countess'
//! ```
//!
//! A check takes some 20 ms of CPU by design. So the service says that `/login` is of nature
//! [`Nature::Cpu`]: a model with threads beside its loops checks there, and the loops answer other clients
//! meanwhile. On a model without, such as single-reactor, the server says at the start that the loop will
//! be held.

use std::io::Read;
use std::process::ExitCode;

use argon2::Argon2;
use argon2::password_hash::{self, PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use turnstile::{Memory, Method, Nature, Request, Response, Service};

#[derive(clap::Args)]
struct Flags {
    /// A user and the password, NAME=PASSWORD; may be given several times
    #[arg(long, value_name = "ACCOUNT", required = true)]
    account: Vec<String>,
}

struct Login {
    /// Names, and hashes in the PHC string format.
    users: Vec<(String, String)>,
    /// Checked when the name is unknown, so that the time says nothing.
    nobodys: String,
}

fn hash(password: &str) -> Result<String, String> {
    let mut random = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(|error| format!("/dev/urandom: {error}"))?;
    let hash = |salt: &SaltString| {
        Argon2::default()
            .hash_password(password.as_bytes(), salt)
            .map(|hash| hash.to_string())
    };
    SaltString::encode_b64(&random)
        .and_then(|salt| hash(&salt))
        .map_err(|error: password_hash::Error| format!("argon2: {error}"))
}

impl Login {
    fn new(flags: &Flags) -> Result<Login, String> {
        let user = |text: &String| {
            let (name, password) = text
                .split_once('=')
                .ok_or_else(|| format!("--account {text}: not NAME=PASSWORD"))?;
            Ok::<_, String>((name.to_owned(), hash(password)?))
        };
        Ok(Login {
            users: flags.account.iter().map(user).collect::<Result<_, _>>()?,
            nobodys: hash("nobody's")?,
        })
    }

    fn is_right(&self, name: &str, password: &str) -> bool {
        let known = self.users.iter().find(|(user, _)| user == name);
        let hash = known.map_or(&self.nobodys, |(_, hash)| hash);
        let verified = PasswordHash::new(hash)
            .and_then(|hash| Argon2::default().verify_password(password.as_bytes(), &hash));
        verified.is_ok() && known.is_some()
    }
}

impl Service for Login {
    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        response.content_type("text/plain");
        let given = std::str::from_utf8(request.body)
            .ok()
            .and_then(|body| body.split_once('='));
        match (request.method, request.path, given) {
            (Method::Get, "/", _) => drop(response.body(b"POST NAME=PASSWORD to /login\n")),
            (Method::Post, "/login", Some((name, password))) => {
                if self.is_right(name, password) {
                    response.body(b"welcome\n");
                } else {
                    response.status(403).body(b"wrong name or password\n");
                }
            }
            (Method::Post, "/login", None) => {
                response
                    .status(400)
                    .body(b"the body is to be NAME=PASSWORD\n");
            }
            _ => drop(response.status(404).body(b"there is only /login\n")),
        }
    }

    fn nature(&self, request: &Request<'_>) -> Nature {
        match request.path {
            "/login" => Nature::Cpu,
            _ => Nature::Quick,
        }
    }

    fn has_slow_requests(&self) -> bool {
        true
    }

    /// It changes none.
    fn memory(&self) -> Memory {
        Memory::Any
    }
}

fn main() -> ExitCode {
    turnstile::main_on_any(Login::new)
}
