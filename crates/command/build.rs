//! Hands the linker the order of what a request runs, if it is one that takes orders; see `request.ld`.

fn main() {
    println!("cargo:rerun-if-changed=request.ld");
    // mold and wild read no linker scripts. Without one everything works, and a fork costs more.
    let of_cargo = |name| std::env::var(name).unwrap_or_default();
    let linker = of_cargo("CARGO_ENCODED_RUSTFLAGS") + &of_cargo("RUSTC_LINKER");
    let takes_orders = !["mold", "wild"].iter().any(|name| linker.contains(name));
    if takes_orders {
        let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{here}/request.ld");
    }
    println!("cargo:rustc-env=TURNSTILE_ORDERED={takes_orders}");
}
