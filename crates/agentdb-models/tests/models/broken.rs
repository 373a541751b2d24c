//! Model directories that are incomplete or damaged, and the libraries that ONNX Runtime is not.
#![allow(clippy::disallowed_methods, reason = "these tests make broken files; the crate itself touches none")]
#![allow(clippy::unwrap_used, reason = "a test's helpers")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use agentdb_models::{MiniLm, ModelDir, Options, TextEncoder};
use agentdb_types::{Code, Error};

const FILES: [&str; 3] =
    ["lib/libonnxruntime.so", "text/minilm-l6-int8/model.onnx", "text/minilm-l6-int8/tokenizer.json"];

/// A model directory of links to the real files, without `left_out`.
fn copy_without(left_out: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in FILES.iter().filter(|file| !left_out.contains(file)) {
        let link = directory.path().join(file);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(ModelDir::locate().unwrap().path().join(file), link).unwrap();
    }
    directory
}

fn put(directory: &Path, file: &str, bytes: &[u8]) {
    std::fs::create_dir_all(directory.join(file).parent().unwrap()).unwrap();
    std::fs::write(directory.join(file), bytes).unwrap();
}

fn open(directory: &Path) -> Result<MiniLm, Error> {
    MiniLm::open(&ModelDir::new(directory), Options::default())
}

#[test]
fn a_missing_file_is_named_with_what_fetches_it() {
    for file in &FILES[1..] {
        let directory = copy_without(&[file]);
        let err = open(directory.path()).unwrap_err();
        assert_eq!(err.code(), Code::ModelNotFound);
        assert_eq!(err.value("path"), Some(&*directory.path().join(file).to_string_lossy()));
        assert!(err.message().contains("make models"), "{err}");
    }
}

#[test]
fn a_damaged_file_is_named() {
    let model = std::fs::read(ModelDir::locate().unwrap().path().join(FILES[1])).unwrap();
    let mut flipped = model.clone();
    flipped[100..200].iter_mut().for_each(|byte| *byte = !*byte);
    for (file, bytes) in [
        (FILES[1], &b""[..]),
        (FILES[1], b"not a model"),
        (FILES[1], &model[..model.len() / 2]),
        (FILES[1], &flipped),
        (FILES[2], b""),
        (FILES[2], b"{\"version\": \"1.0\"}"),
        (FILES[2], b"\xff\xfe"),
    ] {
        let directory = copy_without(&[file]);
        put(directory.path(), file, bytes);
        let err = open(directory.path()).unwrap_err();
        assert_eq!(err.code(), Code::EncoderFailed, "{err}");
        assert!(err.message().contains(file), "{err}");
    }
}

#[test]
fn the_model_of_something_else_is_refused() {
    // y = Identity(x), as the Python package onnx writes it.
    let model = b"\x08\x08:+\n\x10\n\x01x\x12\x01y\"\x08Identity\x12\x01gZ\t\n\x01x\x12\x04\n\x02\x08\x01\
        b\t\n\x01y\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11";
    let directory = copy_without(&[FILES[1]]);
    put(directory.path(), FILES[1], model);
    let err = open(directory.path()).unwrap_err();
    assert_eq!(err.code(), Code::EncoderFailed);
    assert!(err.message().contains("wants the input x"), "{err}");
}

/// Runs `child` below in a process of its own, since a process keeps the first ONNX Runtime that it has loaded.
fn in_child(scene: &str, directory: &Path, library: Option<&Path>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["broken::child", "--exact", "--ignored", "--nocapture"])
        .env("SCENE", scene)
        .env("DIRECTORY", directory);
    command.env_remove("ORT_DYLIB_PATH");
    library.map(|library| command.env("ORT_DYLIB_PATH", library));
    let output = command.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

#[test]
#[ignore = "the process that other tests start"]
fn child() {
    let directory = std::env::var_os("DIRECTORY").unwrap();
    match open(Path::new(&directory)) {
        Ok(encoder) => println!("opened {}", encoder.id()),
        Err(err) => println!("{} {err}", err.code()),
    }
    if std::env::var("SCENE").unwrap() == "again" {
        open(ModelDir::locate().unwrap().path()).unwrap();
        println!("second one opened");
    }
}

#[test]
fn a_missing_library_is_named() {
    let directory = copy_without(&[FILES[0]]);
    let text = in_child("", directory.path(), None);
    assert!(
        text.contains("model_not_found") && text.contains(FILES[0]) && text.contains("make models"),
        "{text}"
    );
    let text = in_child("", directory.path(), Some(Path::new("/nowhere/ort.so")));
    assert!(text.contains("model_not_found") && text.contains("/nowhere/ort.so"), "{text}");
    assert!(text.contains("ORT_DYLIB_PATH"), "{text}");
}

#[test]
fn the_environment_names_a_library_before_the_model_directory() {
    let directory = copy_without(&[FILES[0]]);
    let library = ModelDir::locate().unwrap().path().join(FILES[0]);
    assert!(in_child("", directory.path(), Some(&library)).contains("opened minilm-l6-int8"));
}

#[test]
fn a_library_of_something_else_fails_and_can_be_corrected_in_the_same_process() {
    let directory = copy_without(&[FILES[0]]);
    put(directory.path(), FILES[0], b"not a library");
    let text = in_child("again", directory.path(), None);
    assert!(text.contains("encoder_failed") && text.contains("second one opened"), "{text}");
    let text = in_child("", directory.path(), Some(Path::new("libc.so.6")));
    assert!(text.contains("encoder_failed") && text.contains("OrtGetApiBase"), "{text}");
}
