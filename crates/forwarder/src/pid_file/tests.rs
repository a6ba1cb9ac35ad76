use super::*;

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("forwarder-{name}-{}", std::process::id()))
}

#[test]
fn the_file_holds_the_number_while_the_process_runs() {
    let path = path("pid");
    let file = PidFile::write(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    drop(file);
    assert!(!path.exists());
}

#[test]
fn the_number_of_a_process_that_took_over_stays() {
    let path = path("pid-of-another");
    let file = PidFile::write(&path).unwrap();
    fs::write(&path, "1\n").unwrap();
    drop(file);
    assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    fs::remove_file(&path).unwrap();
}

#[test]
fn nothing_is_written_through_a_link() {
    let (path, precious) = (path("pid-link"), path("precious"));
    fs::write(&precious, "precious").unwrap();
    std::os::unix::fs::symlink(&precious, &path).unwrap();
    drop(PidFile::write(&path).unwrap());
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    fs::remove_file(precious).unwrap();
}

#[test]
fn a_folder_that_does_not_exist_is_named() {
    let error = PidFile::write(&path("nowhere").join("pid")).unwrap_err();
    assert!(format!("{error:#}").contains("nowhere"), "{error:#}");
}
