//! A static site on every model: the files below a folder, and nothing outside it.
//!
//! ```text
//! cargo run -p site -- --model thread-pool --root examples/site/public
//! curl localhost:8080/
//! curl localhost:8080/style.css -H 'Accept-Encoding: br, gzip' --output - | file -
//! ```
//!
//! | request | reply |
//! |---|---|
//! | a folder | its `index.html`; without the slash at the end, 301 to the address with it |
//! | `Accept-Encoding: br` or `gzip` | the file `NAME.br` or `NAME.gz`, if it lies beside `NAME` |
//! | `If-None-Match`, `If-Modified-Since` | 304, if the client has this version |
//! | `Range` | 206 with that part, 416 if there is none |
//! | a path that leads out of the folder, by `..`, an encoded `..` or a symbolic link | 404 |
//! | another method than GET and HEAD | 405 |
//!
//! The site compresses nothing itself. `gzip -k9 style.css` and `brotli -k style.css` do that once.
//!
//! Reading a file that is not in the page cache blocks. So on a model whose loop calls the service the
//! server says at the start that its loop will be held; models with threads or processes read beside it.

use std::path::PathBuf;
use std::process::ExitCode;

use turnstile::Files;

#[derive(clap::Args)]
struct Flags {
    /// Folder whose files are sent
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
}

fn main() -> ExitCode {
    turnstile::main_on_any(|flags: &Flags| Files::open(&flags.root).map(Files::precompressed))
}
