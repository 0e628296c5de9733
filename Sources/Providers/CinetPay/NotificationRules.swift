import ProviderPort

/// What a notification must be before its token is looked at, and what may be read from it.
enum NotificationRules {
    /// Why the notification cannot be ours; nil when it can.
    static func problem(of fields: NotificationFields, siteID: String) -> String? {
        guard let site = fields.text("cpm_site_id") else { return "field 'cpm_site_id' is missing or empty" }
        guard site == siteID else { return "field 'cpm_site_id' is not this site" }
        guard let transaction = fields.text("cpm_trans_id") else { return "field 'cpm_trans_id' is missing or empty" }
        guard transaction.utf8.count <= 64 else { return "field 'cpm_trans_id' is longer than 64 bytes" }
        return nil
    }

    /// The full date of 19 characters pins where the transaction's number ends in the joined text.
    static func dateProblem(of fields: NotificationFields) -> String? {
        guard let date = fields.bytes("cpm_trans_date"), isFullDate(date) else {
            return "field 'cpm_trans_date' is not a full date, YYYY-MM-DD HH:MM:SS"
        }
        return nil
    }

    private static let datePattern = Array("dddd-dd-dd dd:dd:dd".utf8)

    private static func isFullDate(_ date: [UInt8]) -> Bool {
        guard date.count == datePattern.count else { return false }
        return zip(date, datePattern).allSatisfy { byte, expected in
            expected == UInt8(ascii: "d") ? (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) : byte == expected
        }
    }

    /// `cpm_error_message` is a hint, not a status: at most it says that the customer is still at it.
    static func claim(ofHint hint: String?) -> ProviderClaim {
        guard let hint else { return .unknown }
        return hint.hasPrefix("WAITING_") || hint == "PENDING" ? .processing : .unknown
    }
}
