import Cryptography
import Formats

/// The secret part of a notification address, for providers whose posts prove nothing: it says that the address was made by
/// us for this payment, and can be checked without asking SQL.
public struct CapabilitySigner: Sendable {
    private let mac: HMACSHA256

    /// - Parameter secret: `SECRET_KEY`.
    public init(secret: String) { mac = HMACSHA256(key: Array("quittance capability:".utf8) + Array(secret.utf8)) }

    /// 32 hex digits.
    public func capability(provider: String, payment: String) -> String {
        Hex.encode(Array(mac.authenticate(Array(provider.utf8), [0], Array(payment.utf8)).prefix(16)))
    }

    public func verify(_ capability: String, provider: String, payment: String) -> Bool {
        ConstantTime.equal(Array(capability.utf8), Array(self.capability(provider: provider, payment: payment).utf8))
    }
}
