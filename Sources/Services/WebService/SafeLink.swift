/// Addresses of others that a browser may be sent to.
enum SafeLink {
    static func isSafe(_ url: String) -> Bool {
        (url.hasPrefix("https://") || url.hasPrefix("http://")) && url.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
