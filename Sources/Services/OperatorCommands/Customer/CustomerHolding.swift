import Database
import Formats
import Payments

/// Everything that is held of one customer.
///
/// Customers have no row of their own: one is whoever an e-mail address or a phone number belongs to. Their payments are those that name it,
/// the inquiries of these payments and those that name it; rows are theirs that belong to one of them, are a membership of the address or a mail
/// to it, or hold the address or the number.
struct CustomerHolding: Sendable {
    /// Records that laws want kept as they are, for years.
    static func isKeptByLaw(_ table: String) -> Bool { table.hasPrefix("invoicing_") || table.hasPrefix("ledger_") }
    /// Records of other things that hold ids of payments in the middle of their texts.
    private static let loose: Set<String> = ["outbox_jobs", "outbox_effects", "outbox_leaving", "access_calls", "notifications_messages"]

    private static let objectTables: Set<String> = ["drafts_finals", "drafts_attachments"]

    struct Found: Sendable {
        let shape: TableShape
        let row: Row
        /// Whether it belongs to one of their payments or inquiries, or is their membership or a mail to them; others only hold an address or
        /// a number.
        let isOwn: Bool
    }

    private(set) var payments: [String] = []
    private(set) var attempts: [String] = []
    private(set) var inquiries: [String] = []
    private(set) var downloads: [String] = []
    /// Whether a team has them as a member or belongs to them.
    private(set) var isOfTeam = false
    /// E-mail addresses and phone numbers: nobody else has them.
    private(set) var marks: Set<PersonalMark> = []
    /// Names, which others may have too.
    private(set) var names: Set<String> = []
    private(set) var found: [Found] = []
    /// Below the private media root; invoices are among them.
    private(set) var files: [String] = []
    /// What they handed in, and what was made for them, by its keys in the storage of objects.
    private(set) var objects: [String] = []

    /// Whether anybody is meant at all. Texts alone make nobody a customer: what they hold may be anyone's.
    var isSomebody: Bool { !payments.isEmpty || !inquiries.isEmpty || isOfTeam }

    init(of person: PersonNamed, in connection: Connection) throws {
        try identify(person, in: connection)
        guard isSomebody else { return }
        attempts = try ids("payments_attempts", "payment", payments, "id", in: connection)
        downloads = try ids("downloads_grants", "payment", payments, "id", in: connection)
        for shape in try TableShape.all(in: connection) {
            let ownRows = try shape.rows(ownConditions(shape), in: connection)
            found += ownRows.map { Found(shape: shape, row: $0, isOwn: true) }
            let known = Set(ownRows.map { row in shape.keys.map { row[$0] } })
            let proposals = marks.flatMap { mark in shape.worded.map { TableShape.Condition.mayHold($0.name, mark) } }
            let others = try shape.rows(proposals, in: connection) { row in
                !known.contains(shape.keys.map { row[$0] })
                    && shape.worded.contains { column in marks.contains { $0.stands(in: row[column.name], of: column) } }
            }
            found += others.map { Found(shape: shape, row: $0, isOwn: false) }
        }
        files = found.compactMap { found in
            found.shape.name == "drafts_generated" ? try? found.row.text("path") : found.shape.has("pdf_path") ? found.row["pdf_path"].words : nil
        }
        objects = found.compactMap { found in Self.objectTables.contains(found.shape.name) ? try? found.row.text("path") : nil }
    }

    // MARK: Who it is

    private mutating func identify(_ person: PersonNamed, in connection: Connection) throws {
        var (emails, phones): (Set<String>, Set<String>) = ([], [])
        switch person {
        case .email(let email): emails = [email]
        case .phone(let digits): phones = [digits]
        case .record(let id): try identify(record: id, &emails, &phones, in: connection)
        }
        try gather(emails, phones, in: connection)
        marks = Set(emails.map(PersonalMark.email)).union(phones.map(PersonalMark.phone))
        for email in emails {
            let sql = "SELECT 1 AS found FROM teams_members WHERE lower(email) = $1 UNION SELECT 1 FROM teams_teams WHERE lower(owner) = $1"
            if try connection.first(sql, [.text(email)]) != nil { isOfTeam = true }
        }
        try addOwnMarks(in: connection)
    }

    private mutating func identify(
        record id: String, _ emails: inout Set<String>, _ phones: inout Set<String>, in connection: Connection
    ) throws {
        let sql = [
            ("payments_payments", "SELECT customer_email AS email, customer_phone AS phone FROM payments_payments WHERE id = $1"),
            ("drafts_inquiries", "SELECT email, phone FROM drafts_inquiries WHERE id = $1"),
        ]
        for (table, query) in sql {
            guard let row = try connection.first(query, [.text(id)]) else { continue }
            if let email = try row.textOrNil("email"), let email = PersonNamed.address(email) { emails.insert(email) }
            if let phone = try row.textOrNil("phone").flatMap(PersonNamed.digits) { phones.insert(phone) }
            if table == "payments_payments" { payments.append(id) } else { inquiries.append(id) }
        }
    }

    private mutating func gather(_ emails: Set<String>, _ phones: Set<String>, in connection: Connection) throws {
        for (table, email, phone) in [("payments_payments", "customer_email", "customer_phone"), ("drafts_inquiries", "email", "phone")] {
            var ids: [String] = []
            for text in emails { ids += try Self.column("SELECT id FROM \(table) WHERE lower(\(email)) = $1", text, in: connection) }
            for digits in phones { ids += try Self.column("SELECT id FROM \(table) WHERE replace(\(phone), '+', '') = $1", digits, in: connection) }
            if table == "payments_payments" { payments += ids } else { inquiries += ids }
        }
        inquiries += try ids("drafts_orders", "payment", payments, "inquiry", in: connection)
        payments += try ids("drafts_orders", "inquiry", inquiries, "payment", in: connection)
        payments = Set(payments).sorted()
        inquiries = Set(inquiries).sorted()
    }

    /// What their own records call them. An address or a number that a payment of somebody else names too stays in that one's records.
    private mutating func addOwnMarks(in connection: Connection) throws {
        for id in payments {
            guard let row = try connection.first("SELECT * FROM payments_payments WHERE id = $1", [.text(id)]) else { continue }
            names.insert(try row.text("customer_name"))
            try add(email: row.textOrNil("customer_email"), phone: row.textOrNil("customer_phone"), in: connection)
        }
        for id in inquiries {
            guard let row = try connection.first("SELECT * FROM drafts_inquiries WHERE id = $1", [.text(id)]) else { continue }
            for column in ["organization_name", "contact_name"] { names.insert(try row.text(column)) }
            try add(email: row.text("email"), phone: row.textOrNil("phone"), in: connection)
        }
        names = names.filter { $0.count > 2 && $0 != CustomerErasing.erased }
    }

    private mutating func add(email: String?, phone: String?, in connection: Connection) throws {
        if let email = email.flatMap(PersonNamed.address), !marks.contains(.email(email)), try isOnlyTheirs("customer_email", email, in: connection) {
            marks.insert(.email(email))
        }
        if let digits = phone.flatMap(PersonNamed.digits), !marks.contains(.phone(digits)),
            try isOnlyTheirs("customer_phone", "+" + digits, in: connection)
        {
            marks.insert(.phone(digits))
        }
    }

    private func isOnlyTheirs(_ column: String, _ text: String, in connection: Connection) throws -> Bool {
        let all = try Self.column("SELECT id FROM payments_payments WHERE lower(\(column)) = $1", text, in: connection)
        return all.allSatisfy(payments.contains)
    }

    private func ids(_ table: String, _ column: String, _ values: [String], _ wanted: String, in connection: Connection) throws -> [String] {
        try values.flatMap { try Self.column("SELECT \(wanted) AS id FROM \(table) WHERE \(column) = $1", $0, in: connection) }
    }

    private static func column(_ sql: String, _ text: String, in connection: Connection) throws -> [String] {
        try connection.query(sql, [.text(text)]).map { try $0.text("id") }
    }

    // MARK: Their rows

    private func ownConditions(_ shape: TableShape) -> [TableShape.Condition] {
        var conditions: [TableShape.Condition] = []
        for (column, ids) in [("payment", payments), ("attempt", attempts), ("inquiry", inquiries), ("download", downloads)] where shape.has(column) {
            conditions += ids.map { .equals(column, $0) }
        }
        let addresses = marks.compactMap { if case .email(let email) = $0 { email } else { nil } }
        switch shape.name {
        case "teams_members": conditions += addresses.map { .equalsWithoutCase("email", $0) }
        case "payments_payments": conditions += payments.map { .equals("id", $0) }
        case "drafts_inquiries": conditions += inquiries.map { .equals("id", $0) }
        case let name where Self.loose.contains(name):
            let ids = payments + attempts + inquiries
            conditions += shape.texts.flatMap { column in ids.map { .holds(column.name, $0) } }
            if shape.has("recipient") { conditions += addresses.map { .equalsWithoutCase("recipient", $0) } }
        default: break
        }
        return conditions
    }
}

extension SQLValue {
    /// The words of a text or of bytes that are one.
    var words: String? {
        switch self {
        case .text(let text): text
        case .blob(let bytes): String(validating: bytes, as: UTF8.self)
        default: nil
        }
    }

    var json: JSON {
        switch self {
        case .null: .null
        case .integer(let number): .int(number)
        case .real(let number): .number("\(number)")
        case .text(let text): .string(text)
        case .blob(let bytes): words.map(JSON.string) ?? ["base64": .string(Base64.encode(bytes))]
        }
    }
}
