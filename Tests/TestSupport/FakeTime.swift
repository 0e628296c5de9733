/// The wall clock of a process, set by libfaketime.
public enum FakeTime {
    /// What such a file may hold.
    public static let jumps = ["+0", "-3s", "+7s", "+90s", "-90s", "+1h", "-1h", "+40d", "-40d", "+3y", "-3y"]

    /// - Parameter file: holds how far the clock is from the true one, and may be written anew at any time.
    public static func environment(file: String) throws -> [String: String] {
        let places = ["x86_64-linux-gnu/", "aarch64-linux-gnu/", ""].map { "/usr/lib/\($0)faketime/libfaketimeMT.so.1" }
        guard let library = places.first(where: fileExists) else { throw FixtureError("libfaketime is not installed") }
        return [
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
        ]
    }
}
