/// Which program this is, as error reports name it. The file `VERSION` says it, and a test holds it to CHANGELOG.md.
public enum Release {
    public static let version = String(decoding: PackageResources.VERSION.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    public static let text = "quittance@" + version
}
