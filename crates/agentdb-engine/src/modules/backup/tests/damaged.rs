//! Damaged manifests beside whole ones.

use super::*;

fn manifest(world: &World, name: &str) -> PathBuf {
    let path = Path::new(STORE).join("manifests").join(name);
    assert!(objects(world).contains(&path));
    path
}

fn archive(db: &TestDb) -> String {
    db.engine().archive(&backups(&db.world, None).unwrap(), false, &mut |_| {}).unwrap().name
}

#[test]
fn a_damaged_manifest_is_named_and_the_others_are_used() {
    let db = TestDb::new(51);
    let mut taken = Vec::new();
    for n in 0..4 {
        db.world.advance_us(2_000_000);
        put(&db, n);
        put_blob(&db, &[n as u8; 5_000]);
        taken.push(take(&db));
    }
    let handle = backups(&db.world, None).unwrap();
    let whole = db.world.read_file(&manifest(&db.world, &taken[1].name)).unwrap();
    db.world.flip_bit(&manifest(&db.world, &taken[1].name), 40, 1).unwrap();
    let listed = handle.list().unwrap();
    assert_eq!(listed.items, [taken[0].clone(), taken[2].clone(), taken[3].clone()]);
    assert_eq!(listed.damaged.len(), 1);
    assert_eq!((&listed.damaged[0].name, listed.damaged[0].problem.code), (&taken[1].name, 6008));
    // The others go; chunks do not, since the damaged one may need them.
    let chunks = |world: &World| objects(world).iter().filter(|p| p.starts_with("/backups/chunks")).count();
    let before = chunks(&db.world);
    let deleted = handle.prune(1).unwrap();
    assert_eq!(deleted.backups, [taken[0].name.clone(), taken[2].name.clone()]);
    assert_eq!((deleted.chunks, &deleted.damaged), (0, &vec![taken[1].name.clone()]));
    assert_eq!(chunks(&db.world), before);
    // Mended by a copy of the manifest, it is whole.
    db.world.write_file(&manifest(&db.world, &taken[1].name), &whole).unwrap();
    assert_eq!(verified(&db.world), []);
    db.world.flip_bit(&manifest(&db.world, &taken[1].name), 40, 1).unwrap();
    // By its name it goes, and the chunks with it.
    let deleted = handle.delete(&taken[1].name).unwrap();
    assert_eq!((&deleted.backups, deleted.damaged.len()), (&vec![taken[1].name.clone()], 0));
    assert!(deleted.chunks > 0 && chunks(&db.world) < before);
    assert_eq!(handle.list().unwrap().items, [taken[3].clone()]);
    assert_eq!(verified(&db.world), []);
}

#[test]
fn a_manifest_that_is_cut_short_is_damaged_even_if_nothing_is_left_of_it() {
    for left in [0, 1, 40] {
        let db = TestDb::new(56);
        put(&db, 1);
        let taken = take(&db);
        let (mut names, mut digests) = (Vec::new(), Vec::new());
        for n in 0..3 {
            db.world.advance_us(2_000_000);
            put(&db, n);
            digests.push(digest(db.engine()));
            names.push(archive(&db));
        }
        let path = manifest(&db.world, &names[1]);
        let whole = db.world.read_file(&path).unwrap();
        db.world.write_file(&path, &whole[..left]).unwrap();
        let handle = backups(&db.world, None).unwrap();
        let listed = handle.list().unwrap();
        assert_eq!((&listed.damaged[0].name, listed.damaged[0].problem.code), (&names[1], 6008));
        assert_eq!(handle.verify(None, &mut |_| {}).unwrap().problems.len(), 1, "{left} bytes are left");
        let deleted = handle.prune(1).unwrap();
        assert_eq!(
            (deleted.backups.len(), deleted.chunks, &deleted.damaged),
            (0, 0, &vec![names[1].clone()])
        );
        // The next one's segment begins before it.
        let restored = restore(&db.world, &Restore { lsn: Some(digests[2].0), ..to("/r") }).unwrap();
        assert_eq!(restored.backup, taken.name);
        assert_eq!(digest(&open_restored(&db.world, "/r").unwrap()), digests[2]);
        assert_eq!(handle.delete(&names[1]).unwrap().backups, names[1..2]);
        assert_eq!(handle.list().unwrap().damaged, []);
    }
}

#[test]
fn a_manifest_whose_removal_came_undone_is_not_there() {
    let db = TestDb::new(57);
    put(&db, 1);
    let gone = take(&db);
    db.world.advance_us(2_000_000);
    put(&db, 2);
    let kept = take(&db);
    let path = manifest(&db.world, &gone.name);
    db.world.write_file(&path, crate::modules::backup::vault::DELETED).unwrap();
    let handle = backups(&db.world, None).unwrap();
    let listed = handle.list().unwrap();
    assert_eq!((listed.items, listed.damaged), (vec![kept], vec![]));
    assert_eq!(verified(&db.world), []);
    assert!(handle.prune(1).unwrap().chunks > 0, "what it alone needed goes");
    assert_eq!(verified(&db.world), []);
}

#[test]
fn a_restore_goes_around_a_damaged_manifest_where_the_log_proves_that_it_can() {
    let db = TestDb::new(52);
    put(&db, 1);
    let base = take(&db);
    let (mut names, mut digests) = (Vec::new(), BTreeMap::new());
    for n in 0..5 {
        db.world.advance_us(2_000_000);
        put(&db, n);
        digests.insert(digest(db.engine()).0, digest(db.engine()).1);
        names.push(archive(&db));
    }
    // One in the middle: the next one's segment begins before it.
    db.world.flip_bit(&manifest(&db.world, &names[2]), 40, 1).unwrap();
    for (lsn, expected) in &digests {
        let dir = format!("/r{lsn}");
        let restored = restore(&db.world, &Restore { lsn: Some(*lsn), ..to(&dir) }).unwrap();
        assert_eq!((restored.lsn, &restored.backup), (*lsn, &base.name));
        assert_eq!(digest(&open_restored(&db.world, &dir).unwrap()).1, *expected);
    }
    // What goes on from it is not pruned.
    let handle = backups(&db.world, None).unwrap();
    assert_eq!(handle.prune(1).unwrap().backups, Vec::<String>::new());
    // The last one: nothing else leads there, and it may be the newest.
    db.world.flip_bit(&manifest(&db.world, &names[4]), 40, 1).unwrap();
    let last = *digests.keys().last().unwrap();
    for request in [Restore { lsn: Some(last), ..to("/no") }, to("/no")] {
        let err = restore(&db.world, &request).unwrap_err();
        assert_eq!(err.code(), Code::BackupCorrupt, "{err}");
        let object = err.value("object").unwrap();
        assert!(object.ends_with(&names[2]) || object.ends_with(&names[4]), "{err}");
    }
    let named = Restore { backup: Some(names[3].clone()), ..to("/named") };
    assert_eq!(restore(&db.world, &named).unwrap().lsn.0 + 1, last.0);
    // The base: nothing has rows.
    db.world.flip_bit(&manifest(&db.world, &base.name), 40, 1).unwrap();
    let err = restore(&db.world, &Restore { lsn: Some(Lsn(2)), ..to("/none") }).unwrap_err();
    assert_eq!(err.code(), Code::BackupCorrupt);
}

#[test]
fn an_index_that_is_damaged_keeps_its_chunks_and_is_named() {
    let db = TestDb::new(53);
    put(&db, 1);
    let first = take(&db);
    // Whole manifests, of which the older one's index cannot be read.
    let of_first: Vec<PathBuf> = objects(&db.world);
    put(&db, 2);
    take(&db);
    let index = of_first.iter().filter(|path| path.starts_with("/backups/chunks")).find(|path| {
        let bytes = db.world.read_file(path).unwrap();
        bytes.windows(13).any(|w| w == b"rows/MANIFEST")
    });
    db.world.flip_bit(index.unwrap(), 10, 1).unwrap();
    let handle = backups(&db.world, None).unwrap();
    let deleted = handle.prune(2).unwrap();
    assert_eq!((deleted.chunks, deleted.damaged), (0, vec![first.name]));
}

#[test]
fn a_place_without_backups_is_none() {
    let db = TestDb::new(54);
    let handle = backups(&db.world, None).unwrap();
    let code = |err: Error| err.code();
    let none = Code::BackupStoreNotFound;
    assert_eq!(handle.list().map_err(code), Err(none));
    assert_eq!(handle.verify(None, &mut |_| {}).map_err(code).err(), Some(none));
    assert_eq!(handle.prune(1).map_err(code), Err(none));
    assert_eq!(handle.delete("x").map_err(code), Err(none));
    assert_eq!(restore(&db.world, &to("/r")).map_err(code), Err(none));
    assert!(!db.world.env().files.exists(Path::new(STORE)).unwrap());
    // The handle that took the first backup sees it.
    let taken = db.engine().backup(&handle, false, &mut |_| {}).unwrap();
    assert_eq!(handle.list().unwrap().items, std::slice::from_ref(&taken));
    handle.delete(&taken.name).unwrap();
    assert_eq!(handle.list().unwrap().items, []);
    assert_eq!(handle.verify(None, &mut |_| {}).map_err(code).err(), Some(Code::BackupNotFound));
}

#[test]
fn a_database_and_its_backups_do_not_lie_in_one_another() {
    let db = TestDb::new(55);
    put(&db, 1);
    let env = db.world.env();
    let at = |place: &str| {
        let store = DirectoryStore::new(&env, Path::new(place)).unwrap();
        Backups::open(&env, Arc::new(store), None).unwrap()
    };
    let other =
        Engine::open(&env, Path::new("/in/chunks/db"), Options { background: false, ..Options::default() });
    let other = other.unwrap();
    for (engine, place) in [
        (db.engine(), "/db"),
        (db.engine(), "/db/below/it"),
        (db.engine(), "/in/chunks/db/x"),
        (&other, "/in"),
    ] {
        let err = engine.backup(&at(place), false, &mut |_| {}).unwrap_err();
        assert_eq!(err.code(), Code::BackupPlaceTaken, "{place}: {err}");
        assert!(!env.files.exists(&Path::new(place).join("STORE")).unwrap(), "{place}");
    }
    // The directory that a database lies in may hold backups, too.
    db.engine().backup(&at("/"), false, &mut |_| {}).unwrap();
    take(&db);
    for dir in ["/db/restored", "/backups/restored", "/backups"] {
        let err = restore(&db.world, &to(dir)).unwrap_err();
        assert_eq!(err.code(), Code::BackupPlaceTaken, "{dir}: {err}");
    }
    // The store in `/` is gone; whatever else is called so is none.
    env.files.remove(Path::new("/STORE")).unwrap();
    assert_eq!(restore(&db.world, &to("/db")).unwrap_err().code(), Code::RestoreNotEmpty);
    db.world.write_file(Path::new("/other/STORE"), b"of something else").unwrap();
    env.files.create_dir_all(Path::new("/third/STORE")).unwrap();
    let create = |dir: &str| {
        Engine::open(&env, Path::new(dir), Options { background: false, ..Options::default() }).map(drop)
    };
    let before = db.world.list_all();
    for dir in ["/backups", "/backups/db", "/backups/chunks/ab/db"] {
        assert_eq!(create(dir).unwrap_err().code(), Code::BackupPlaceTaken, "{dir}");
    }
    assert_eq!(db.world.list_all(), before);
    take(&db);
    for dir in ["/other", "/third/db", "/beside"] {
        create(dir).unwrap();
    }
    assert!(!env.files.exists(Path::new("/db/restored")).unwrap());
}
