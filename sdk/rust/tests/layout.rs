// SPDX-License-Identifier: MIT
//! The structs of `sys` are those of the headers: a C program, made of their names, says what sizes,
//! offsets and numbers the compiler of C gives them.
//!
//! WEIR_INCLUDE is the folder of the headers, by default the one beside this crate; CC the compiler.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use weir::sys;

fn include() -> PathBuf {
    std::env::var_os("WEIR_INCLUDE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../include"), PathBuf::from)
}

/// What the program prints.
fn ask_c(name: &str, body: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (folder.join(format!("{}.c", name)), folder.join(name));
    let text = format!(
        "#include <weir/weir.h>\n#include <stdio.h>\nint main(void)\n{{\n{}return 0;\n}}\n",
        body
    );
    std::fs::write(&source, text).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_string());
    let mut words = compiler.split_whitespace();
    let built = Command::new(words.next().unwrap())
        .args(words)
        .arg("-I")
        .arg(include())
        .args(["-std=gnu11", "-w", "-o"])
        .args([&program, &source])
        .output()
        .expect("a compiler of C");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let run = Command::new(&program).output().unwrap();
    assert!(run.status.success());
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn structs_are_those_of_the_headers() {
    let (mut body, mut expected) = (String::new(), String::new());
    let layouts = sys::layouts();
    assert!(layouts.len() > 20);
    for (name, size, fields) in &layouts {
        writeln!(body, "printf(\"{0} %zu\\n\", sizeof(struct {0}));", name).unwrap();
        writeln!(expected, "{} {}", name, size).unwrap();
        for (field, offset) in fields {
            let in_c = field.trim_end_matches('_');
            writeln!(
                body,
                "printf(\"{0}.{1} %zu %zu\\n\", offsetof(struct {0}, {1}), \
                 sizeof(((struct {0} *)0)->{1}));",
                name, in_c
            )
            .unwrap();
            // A field's size is checked by where the next one begins, and the struct's end.
            writeln!(expected, "{}.{} {}", name, in_c, offset).unwrap();
        }
    }
    let told = ask_c("layout", &body);
    assert_eq!(told.lines().count(), expected.lines().count());
    for (told, expected) in told.lines().zip(expected.lines()) {
        let words = expected.split(' ').count();
        let told: Vec<&str> = told.split(' ').take(words).collect();
        assert_eq!(told.join(" "), expected);
    }
}

#[test]
fn nothing_is_left_out_in_between() {
    // Padding apart, the fields fill the struct: one that the headers have and `sys` has not would
    // leave a hole. The host's table has no padding at all.
    let host = sys::layouts().into_iter().find(|(name, _, _)| *name == "weir_host").unwrap();
    let pointers = host.2.iter().filter(|(_, offset)| *offset >= 8).count();
    assert_eq!(host.1, 8 + pointers * std::mem::size_of::<usize>());
}

#[test]
fn numbers_are_those_of_the_headers() {
    let numbers: &[(&str, i64)] = &[
        ("WEIR_ABI_MAJOR", sys::ABI_MAJOR.into()),
        ("WEIR_ABI_MINOR", sys::ABI_MINOR.into()),
        ("WEIR_OK", sys::OK.into()),
        ("WEIR_DECLINED", sys::DECLINED.into()),
        ("WEIR_DONE", sys::DONE.into()),
        ("WEIR_INVALID", sys::INVALID.into()),
        ("WEIR_NO_MEMORY", sys::NO_MEMORY.into()),
        ("WEIR_ERROR", sys::ERROR.into()),
        ("WEIR_LOG_ERROR", sys::LOG_ERROR.into()),
        ("WEIR_NO_REF", sys::NO_REF.into()),
        ("WEIR_PICK_NONE", sys::PICK_NONE.into()),
        ("WEIR_NO_TITLE", sys::NO_TITLE.into()),
        ("WEIR_BALANCER_BY_REQUEST", sys::BALANCER_BY_REQUEST.into()),
        ("WEIR_BALANCER_TURNS", sys::BALANCER_TURNS.into()),
        ("WEIR_WEIGHT_ONE", sys::WEIGHT_ONE as i64),
        ("WEIR_OUTCOME_CANCELED", 4),
        ("WEIR_OPTION_RELOADABLE", 4),
        ("WEIR_CONTEXT_MODULE", 1),
        ("WEIR_CONTEXT_LISTENER", 2),
        ("WEIR_CONTEXT_ROUTE", 4),
        ("WEIR_CONTEXT_POOL", 8),
        ("WEIR_TYPE_STRING", <weir::Str as weir::Field>::TYPE.into()),
        ("WEIR_TYPE_INTEGER", <i64 as weir::Field>::TYPE.into()),
        ("WEIR_TYPE_REAL", <f64 as weir::Field>::TYPE.into()),
        ("WEIR_TYPE_BOOLEAN", <bool as weir::Field>::TYPE.into()),
        ("WEIR_TYPE_DURATION", <weir::Duration as weir::Field>::TYPE.into()),
        ("WEIR_TYPE_SIZE", <weir::Size as weir::Field>::TYPE.into()),
        ("WEIR_TYPE_PERCENTAGE", <weir::Percentage as weir::Field>::TYPE.into()),
        ("WEIR_TYPE_LIST", <weir::List<i64> as weir::Field>::TYPE.into()),
        ("WEIR_REQUEST_METHOD", 0),
        ("WEIR_REQUEST_HOST", 2),
        ("WEIR_REQUEST_PATH", 4),
        ("WEIR_REQUEST_QUERY", 5),
        ("WEIR_REQUEST_SERVER", 11),
        ("WEIR_SLOT_SIZE_MAX", 4096),
    ];
    let body: String = numbers
        .iter()
        .map(|(name, _)| format!("printf(\"%lld\\n\", (long long){});\n", name))
        .collect();
    let told = ask_c("numbers", &body);
    for ((name, number), told) in numbers.iter().zip(told.lines()) {
        assert_eq!(told, number.to_string(), "{}", name);
    }
}
