/// A version of the Docker Engine API, such as 1.44; compared part by part, so 1.9 comes before 1.44.
public struct DockerAPIVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let major: Int
    public let minor: Int

    /// The highest whose answers are understood: the first one with the new shape of `/system/df`.
    public static let highest = DockerAPIVersion(1, 52)
    /// Below, `/system/df` does not exist (1.25).
    public static let lowest = DockerAPIVersion(1, 25)
    /// Spoken to an engine that does not tell its version.
    static let usual = DockerAPIVersion(1, 44)
    /// From here on `/system/df` can be asked for some types only.
    static let withTypes = DockerAPIVersion(1, 42)
    /// From here on `verbose=1` is needed for the items.
    static let withVerbose = DockerAPIVersion(1, 52)

    public init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// Nil unless it is two whole numbers with a point between.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ (1...4).contains($0.utf8.count) && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let major = Int(parts[0]), let minor = Int(parts[1])
        else { return nil }
        self.init(major, minor)
    }

    public static func < (left: DockerAPIVersion, right: DockerAPIVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    public var description: String { "\(major).\(minor)" }

    /// Every version that a sentence names.
    static func named(in sentence: String) -> [DockerAPIVersion] {
        sentence.split { !($0.isASCII && ($0.isNumber || $0 == ".")) }.compactMap { word in
            DockerAPIVersion(word.last == "." ? word.dropLast() : word)
        }
    }
}
