import Database
import Formats
import MessagePort
import Notifications
import Staff

/// `quittance opt-outs …`: who does not want to be written to on a channel.
enum OptOutCommands {
    static let commands = [list, add, remove]

    private static let actor = "operator"
    private static let channels = MessageChannel.allCases.map(\.rawValue)
    private static let operands = [
        CommandSyntax.Operand.needed("CHANNEL", channels.joined(separator: ", ")),
        .needed("ADDRESS", "an e-mail address, or a telephone number as +22890000001"),
    ]

    private static let list = Command(
        CommandSyntax(
            "opt-outs list", "who does not want to be written to, and on which channel",
            options: [.value("--limit", "N", "how many, 100 unless given"), .json],
            notes: ["Addresses are masked: they are kept as a hash, which outlives the erasure of everything else."])
    ) { invocation, context in
        let limit = try invocation.number("--limit", in: 1...10_000, standard: 100)
        let found = try await context.withDatabase { database in try await database.read { try OptOut.list(limit: limit, in: $0) } }
        var listing = Listing(["channel", "address", .time("since"), "source"], none: "Nobody has refused.")
        for one in found {
            listing.add(.string(one.channel.rawValue), .string(one.address), .int(one.sinceMs), .string(one.source))
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let add = Command(
        CommandSyntax(
            "opt-outs add", "write to an address or a number no more, on one channel", operands: operands,
            options: [.value("--reason", "TEXT", "how they said so; \"\(standardReason)\" unless given")],
            notes: ["Messages that wait are not sent to it by that channel; where there is another one they go by that."])
    ) { invocation, context in
        let (channel, address) = try place(invocation)
        let (reason, now) = (invocation.value("--reason") ?? standardReason, context.nowMs())
        let isNew = try await context.withDatabase { database in
            try await database.write { connection in
                guard try OptOut.record(address, on: channel, source: "\(actor): \(reason)", nowMs: now, in: connection) else { return false }
                try StaffAudit.record(
                    "optout.add", of: OptOut.masked(address, on: channel), detail: "\(channel.rawValue): \(reason)", actor: actor, nowMs: now,
                    in: connection)
                return true
            }
        }
        context.output.line("\(OptOut.masked(address, on: channel)) \(isNew ? "is" : "was already") written to by \(channel.rawValue) no more")
        return isNew ? .ok : .nothingDue
    }

    private static let remove = Command(
        CommandSyntax("opt-outs remove", "write to an address or a number again", operands: operands)
    ) { invocation, context in
        let (channel, address) = try place(invocation)
        let nowMs = context.nowMs()
        let wasThere = try await context.withDatabase { database in
            try await database.write { connection in
                guard try OptOut.lift(address, on: channel, in: connection) else { return false }
                try StaffAudit.record(
                    "optout.remove", of: OptOut.masked(address, on: channel), detail: channel.rawValue, actor: actor, nowMs: nowMs, in: connection)
                return true
            }
        }
        let now = wasThere ? "is written to by \(channel.rawValue) again" : "had not refused \(channel.rawValue)"
        context.output.line("\(OptOut.masked(address, on: channel)) \(now)")
        return wasThere ? .ok : .nothingDue
    }

    private static let standardReason = "as they asked"

    private static func place(_ invocation: Invocation) throws(UsageError) -> (MessageChannel, String) {
        guard let channel = MessageChannel(rawValue: invocation.operands[0]) else {
            throw UsageError("CHANNEL is one of \(channels.joined(separator: ", ")), not '\(invocation.operands[0])'")
        }
        let address = invocation.operands[1]
        guard OptOut.isAddress(address, on: channel) else {
            throw UsageError("ADDRESS is \(channel == .email ? "an e-mail address" : "a telephone number with its country, as +22890000001")")
        }
        return (channel, address)
    }
}
