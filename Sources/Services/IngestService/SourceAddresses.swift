import Formats
import Settings

/// Where the posts of a source come from, and what becomes of those from elsewhere.
struct SourceAddresses: Sendable {
    let ranges: [AddressRange]
    let check: AddressCheck

    enum Finding: Sendable { case unchecked, listed, unlisted }

    func finding(_ address: String) -> Finding {
        guard check != .off else { return .unchecked }
        guard let address = IPAddress(parsing: address) else { return .unlisted }
        return ranges.contains { $0.contains(address) } ? .listed : .unlisted
    }
}
