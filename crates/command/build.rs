//! Hands the linker the order of what a request runs, if it is one that takes orders; see `request.ld`.

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    // Absolute, so that a checkout that was moved with its target folder runs this again: the
    // linker is told an absolute path, and the old one is gone.
    println!("cargo:rerun-if-changed={here}/request.ld");
    // mold and wild read no linker scripts. Without one everything works, and a fork costs more.
    let of_cargo = |name| std::env::var(name).unwrap_or_default();
    let linker = of_cargo("CARGO_ENCODED_RUSTFLAGS") + &of_cargo("RUSTC_LINKER");
    let takes_orders = !["mold", "wild"].iter().any(|name| linker.contains(name));
    if takes_orders {
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{here}/request.ld");
    }
    println!("cargo:rustc-env=TURNSTILE_ORDERED={takes_orders}");
}
