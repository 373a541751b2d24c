//! One suite of behaviour for every file system: what holds on the machine holds in the simulated world.

mod same;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentdb_types::Code;

use crate::sim::World;
use crate::{Env, File, Files, OpenMode};

/// Runs a check in an empty directory of each world.
fn everywhere(check: impl Fn(&dyn Files, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    check(&*Env::real().files, dir.path());
    let files = World::new(1).env().files;
    files.create_dir_all(Path::new("/tmp/db")).unwrap();
    check(&*files, Path::new("/tmp/db"));
}

fn create(files: &dyn Files, path: &Path, bytes: &[u8]) -> Arc<dyn File> {
    let file = files.open(path, OpenMode::CreateNew).unwrap();
    file.write_at(0, bytes).unwrap();
    file
}

fn read_all(file: &dyn File) -> Vec<u8> {
    let mut out = vec![0xEE; file.len().unwrap() as usize + 10];
    let count = file.read_at(0, &mut out).unwrap();
    out.truncate(count);
    out
}

#[test]
fn what_was_written_is_read() {
    everywhere(|files, dir| {
        let file = create(files, &dir.join("a"), b"hello");
        assert!(!file.is_empty().unwrap());
        file.write_at(3, b"p!").unwrap();
        assert_eq!(read_all(&*file), b"help!");
        let mut out = [0; 4];
        assert_eq!(file.read_at(2, &mut out).unwrap(), 3);
        assert_eq!(&out[..3], b"lp!");
        assert_eq!(file.read_at(5, &mut out).unwrap(), 0);
        assert_eq!(file.read_at(1 << 30, &mut out).unwrap(), 0);
        file.sync_data().unwrap();
        files.sync_dir(dir).unwrap();
        assert_eq!(read_all(&*files.open(&dir.join("a"), OpenMode::Read).unwrap()), b"help!");
    });
}

#[test]
fn a_gap_is_zero_and_an_empty_write_is_nothing() {
    everywhere(|files, dir| {
        let file = create(files, &dir.join("a"), b"x");
        file.write_at(9_000, b"").unwrap();
        assert_eq!(file.len().unwrap(), 1);
        file.write_at(9_000, b"y").unwrap();
        let mut expected = vec![0; 9_001];
        expected[0] = b'x';
        expected[9_000] = b'y';
        assert_eq!(read_all(&*file), expected);
    });
}

#[test]
fn a_cut_file_grows_again_with_zeros() {
    everywhere(|files, dir| {
        let file = create(files, &dir.join("a"), &[7; 10_000]);
        file.set_len(5_000).unwrap();
        assert_eq!(file.len().unwrap(), 5_000);
        file.set_len(12_000).unwrap();
        let expected = [vec![7; 5_000], vec![0; 7_000]].concat();
        assert!(read_all(&*file) == expected);
        file.set_len(0).unwrap();
        assert!(file.is_empty().unwrap());
    });
}

#[test]
fn opening_refuses_what_the_mode_forbids() {
    everywhere(|files, dir| {
        let path = dir.join("a");
        for mode in [OpenMode::Read, OpenMode::Write] {
            let err = files.open(&path, mode).err().unwrap();
            assert_eq!((err.code(), err.value("operation")), (Code::Io, Some("open")));
            assert_eq!(err.value("path"), path.to_str());
            assert!(err.value("reason").unwrap().starts_with("No such file or directory"));
        }
        create(files, &path, b"x");
        assert_eq!(files.open(&path, OpenMode::CreateNew).err().unwrap().code(), Code::Io);
        let reader = files.open(&path, OpenMode::Read).unwrap();
        assert_eq!(reader.write_at(0, b"y").unwrap_err().code(), Code::Io);
        assert_eq!(reader.set_len(0).unwrap_err().code(), Code::Io);
        for mode in [OpenMode::Read, OpenMode::Write, OpenMode::CreateNew] {
            assert_eq!(files.open(dir, mode).err().unwrap().code(), Code::Io, "{mode:?} of a directory");
            assert_eq!(files.open(&path.join("b"), mode).err().unwrap().code(), Code::Io);
            assert!(files.open(&dir.join("no/b"), mode).is_err());
        }
    });
}

#[test]
fn an_open_file_outlives_its_name() {
    everywhere(|files, dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        let first = create(files, &a, b"first");
        files.remove(&a).unwrap();
        assert!(!files.exists(&a).unwrap());
        first.write_at(5, b"!").unwrap();
        assert_eq!(read_all(&*first), b"first!");
        let second = create(files, &a, b"second");
        let replaced = create(files, &b, b"replaced");
        files.rename(&a, &b).unwrap();
        second.write_at(0, b"S").unwrap();
        assert_eq!(read_all(&*files.open(&b, OpenMode::Read).unwrap()), b"Second");
        assert_eq!(read_all(&*replaced), b"replaced");
        assert_eq!(files.list(dir).unwrap(), ["b"]);
    });
}

#[test]
fn directories_list_their_names_in_order() {
    everywhere(|files, dir| {
        let deep = dir.join("x/y");
        files.create_dir_all(&deep).unwrap();
        files.create_dir_all(&deep).unwrap();
        for name in ["c", "a", "b"] {
            create(files, &deep.join(name), b"");
        }
        assert_eq!(files.list(&deep).unwrap(), ["a", "b", "c"]);
        assert_eq!(files.list(dir).unwrap(), ["x"]);
        files.rename(&deep.join("c"), &dir.join("c")).unwrap();
        assert_eq!(files.list(dir).unwrap(), ["c", "x"]);
        assert!(files.exists(&deep).unwrap() && files.exists(&dir.join("c")).unwrap());
        assert!(!files.exists(&dir.join("c/d")).unwrap());
        assert_eq!(files.create_dir_all(&dir.join("c/d")).unwrap_err().code(), Code::Io);
        for missing in [dir.join("no"), dir.join("c")] {
            assert_eq!(files.list(&missing).unwrap_err().code(), Code::Io);
            assert_eq!(files.sync_dir(&missing).unwrap_err().code(), Code::Io);
        }
        assert_eq!(files.remove(&dir.join("no")).unwrap_err().code(), Code::Io);
        assert_eq!(files.rename(&dir.join("no"), &dir.join("z")).unwrap_err().code(), Code::Io);
    });
}

#[test]
fn a_lock_excludes_all_others_until_it_is_dropped() {
    everywhere(|files, dir| {
        let path: PathBuf = dir.join("LOCK");
        let held = files.lock(&path).unwrap();
        assert!(files.exists(&path).unwrap(), "a missing file is created");
        let err = files.lock(&path).err().unwrap();
        assert_eq!((err.code(), err.value("path")), (Code::Locked, path.to_str()));
        let other = files.lock(&dir.join("OTHER")).unwrap();
        drop(held);
        let again = files.lock(&path).unwrap();
        assert!(files.lock(&path).is_err());
        drop((again, other));
        files.lock(&path).unwrap();
        assert_eq!(files.lock(dir).err().unwrap().code(), Code::Io);
    });
}
