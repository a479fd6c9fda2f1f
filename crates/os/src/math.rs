//! The mathematical functions of the C library, from a crate.
//!
//! A fork copies every mapping of a process, and libm has five. These functions have the names that
//! Rust and SQLite call, so the program is linked without libm; with it, a client of `fork-per-client`
//! costs a tenth more. A program that calls a function which is missing here is linked with libm
//! again; a test of the `turnstile` program (`mappings`) would notice.

macro_rules! shadow {
    ($($name:ident($($argument:ident),*);)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name($($argument: f64),*) -> f64 {
                libm::$name($($argument),*)
            }
        )*
    };
}

shadow! {
    atan(x);
    cos(x);
    exp(x);
    expm1(x);
    log(x);
    log10(x);
    log1p(x);
    log2(x);
    pow(x, y);
    sin(x);
}

#[cfg(test)]
mod tests {
    /// Called by the names that Rust uses, and right to the last bit or two.
    #[test]
    fn they_are_what_they_are_called() {
        let near = |value: f64, wanted: f64| (value / wanted - 1.0).abs() < 4.0 * f64::EPSILON;
        let x = std::hint::black_box(2.5_f64);
        assert!(near(x.atan(), 1.190_289_949_682_531_7));
        assert!(near(x.cos(), -0.801_143_615_546_933_7));
        assert!(near(x.sin(), 0.598_472_144_103_956_4));
        assert!(near(x.exp(), 12.182_493_960_703_473));
        assert!(near(x.exp_m1(), 11.182_493_960_703_473));
        assert!(near(x.ln(), 0.916_290_731_874_155_1));
        assert!(near(x.log10(), 0.397_940_008_672_037_6));
        assert!(near(x.ln_1p(), 1.252_762_968_495_368));
        assert!(near(x.log2(), 1.321_928_094_887_362_3));
        assert!(near(x.powf(x), 9.882_117_688_026_186));
    }
}
