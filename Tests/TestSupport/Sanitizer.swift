#if canImport(Glibc)
    import Glibc
#endif

/// The sanitizer under which the tests run, as `deploy/sanitize` tells. What a test cannot show there is left out by name, so that any
/// test that fails under a sanitizer counts.
public enum Sanitizer: String, Sendable {
    case address, thread

    /// `nil` in an ordinary run.
    public static let running: Sanitizer? = getenv("SANITIZER").flatMap { Sanitizer(rawValue: String(cString: $0)) }

    /// How much slower instrumented code is, as far as bounds of time are concerned.
    static let slowness: Double = running == nil ? 1 : 8

    /// The thread sanitizer keeps a signal until its program calls into a library that it knows: a crash that a test sends comes late or not.
    public static let leavesSignals = running != .thread
    /// libfaketime and the sanitizers take the place of the same functions, and the programs do not start.
    public static let leavesClocks = running == nil
    /// The thread sanitizer needs room in files for its own: where no file may grow its programs do not start.
    public static let leavesFullDisks = running != .thread
    /// Sanitizers keep shadows of all memory: its size says nothing.
    public static let leavesMemory = running == nil
}
