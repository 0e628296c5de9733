import Database
import DraftGeneration
import Drafts
import EventLoop
import Formats
import Money
import PrivateFiles
import Settings

/// `quittance product …`, `prompt …` and `template …`: what kits are sold for, written by and filled into.
enum ProductCommands {
    static let commands = [products, setProduct, prompts, addPrompt, usePrompt, templates, checkTemplate, addTemplate, useTemplate]

    private static let language = CommandSyntax.Operand.needed("LANGUAGE", "fr or en")
    private static let file = CommandSyntax.Operand.needed("FILE", "a .docx with the variables of a kit")

    // MARK: Products

    private static let products = Command(CommandSyntax("product list", "what is sold, at which price", options: [.json])) { invocation, context in
        let found = try await context.withDatabase { database in try await database.read { try Drafts.Product.all(in: $0) } }
        var table = Listing(["product", "name_fr", "name_en", .number("price"), "currency", "sold"], none: "No products.")
        for product in found {
            table.add(
                .string(product.slug), .string(product.nameFrench), .string(product.nameEnglish), .string(product.price.decimalText),
                .string(product.price.currency.code), .bool(product.isSold))
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let setProduct = Command(
        CommandSyntax(
            "product set", "change a product, or enter a new one", operands: [.needed("PRODUCT", "its name for programs, such as audit-sans-peur")],
            options: [
                .value("--price", "AMOUNT", "as 12500 or 19.90"), .value("--currency", "CODE", "of the price; what it was unless given"),
                .value("--name-fr", "NAME", "in French"), .value("--name-en", "NAME", "in English"),
                .flag("--sell", "have the form sell it from now on, in place of the one before"), KitCommands.reason,
            ], notes: ["What is not given stays as it is. Orders keep the price that they were made at."])
    ) { invocation, context in
        let (slug, why, now) = (invocation.operands[0], invocation.value("--reason") ?? "", context.nowMs())
        let (price, currency) = (invocation.value("--price"), invocation.value("--currency"))
        let names = (invocation.value("--name-fr"), invocation.value("--name-en"))
        let sells = invocation.has("--sell")
        if price == nil, currency != nil { throw UsageError("--currency goes with --price") }
        let product = try await KitCommands.write(context) { _, connection in
            let known = try Drafts.Product.find(slug, in: connection)
            let money = try price.map { try amount($0, currency ?? known?.price.currency.code) }
            return try Drafts.Product.set(
                slug, Drafts.Product.Change(nameFrench: names.0, nameEnglish: names.1, price: money, isSold: sells), actor: KitCommands.actor,
                reason: why, nowMs: now, in: connection)
        }
        context.output.line("\(product.slug) costs \(product.price)\(product.isSold ? " and is what the form sells" : "")")
        return .ok
    }

    private static func amount(_ text: String, _ code: String?) throws -> Money {
        guard let code else { throw UsageError("a new product needs --currency") }
        do throws(MoneyError) {
            return try Money(parsing: text, currency: try Currency(code: code))
        } catch {
            throw UsageError("--price \(text.onOneLine) \(code.onOneLine): \(error)")
        }
    }

    // MARK: Prompts

    private static let prompts = Command(
        CommandSyntax("prompt list", "what the AI is told when it writes drafts, every version", options: [.json])
    ) { invocation, context in
        let found = try await context.withDatabase { database in try await database.read { try DraftPrompt.all(in: $0) } }
        var table = Listing(["language", .number("version"), "active", "actor", .time("created_at"), "instructions"], none: "No prompts.")
        for prompt in found {
            table.add(
                .string(prompt.language), .int(prompt.version), .bool(prompt.isActive), .string(prompt.actor), .int(prompt.createdAtMs),
                .string(prompt.instructions))
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let addPrompt = Command(
        CommandSyntax(
            "prompt add", "add a version and have drafts written by it from now on",
            operands: [language, .needed("FILE", "the instructions, as UTF-8 text")], options: [KitCommands.reason],
            notes: ["That the customer's texts are data, not instructions, is told behind them always, and need not stand in the file."])
    ) { invocation, context in
        let (language, why, now) = (invocation.operands[0], invocation.value("--reason") ?? "", context.nowMs())
        guard let text = String(validating: try SmallFile.read(invocation.operands[1], limit: 256 * 1024), as: UTF8.self) else {
            throw UsageError("the file is not UTF-8")
        }
        let prompt = try await KitCommands.write(context) { _, connection in
            try DraftPrompt.add(text, language: language, actor: KitCommands.actor, reason: why, nowMs: now, in: connection)
        }
        context.output.line("version \(prompt.version) of the prompt in \(prompt.language) is active")
        return .ok
    }

    private static let usePrompt = Command(
        CommandSyntax(
            "prompt use", "have drafts written by a version of before",
            operands: [language, .needed("VERSION", "as `quittance prompt list` shows it")],
            options: [KitCommands.reason])
    ) { invocation, context in
        let (language, why, now) = (invocation.operands[0], invocation.value("--reason") ?? "", context.nowMs())
        let version = try version(invocation.operands[1])
        try await KitCommands.write(context) { _, connection in
            try DraftPrompt.activate(language, version: version, actor: KitCommands.actor, reason: why, nowMs: now, in: connection)
        }
        context.output.line("version \(version) of the prompt in \(language) is active")
        return .ok
    }

    private static func version(_ text: String) throws(UsageError) -> Int64 {
        guard let number = Int64(text), number >= 0 else { throw UsageError("a version is a whole number, not '\(text.onOneLine)'") }
        return number
    }

    // MARK: Templates

    private static let templates = Command(
        CommandSyntax(
            "template list", "the installed templates of the document", options: [.json],
            notes: ["While none is active, templates/kit_complet_template.docx below PRIVATE_MEDIA_ROOT is used, as version 0."])
    ) { invocation, context in
        let found = try await context.withDatabase { database in try await database.read { try DocumentTemplateVersion.all(in: $0) } }
        var table = Listing(
            [.number("version"), "active", .number("size"), "missing", "actor", .time("created_at"), "sha256"],
            none: "None is installed: templates/kit_complet_template.docx is used.")
        for template in found {
            table.add(
                .int(template.version), .bool(template.isActive), .int(template.size), .array(template.missing.map(JSON.string)),
                .string(template.actor), .int(template.createdAtMs), .string(template.sha256))
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let checkTemplate = Command(
        CommandSyntax("template check", "look into a template and fill it once; install nothing", operands: [file], options: [.json])
    ) { invocation, context in
        let trial = try await withShelf(invocation, context) { shelf, bytes in try await shelf.examine(bytes) }
        report(trial.check, "it can be filled", invocation, context)
        return .ok
    }

    private static let addTemplate = Command(
        CommandSyntax(
            "template add", "check a template, fill it once, and have drafts made with it from now on", operands: [file],
            options: [KitCommands.reason, .json])
    ) { invocation, context in
        let (why, now) = (invocation.value("--reason") ?? "", context.nowMs())
        let (template, trial) = try await withShelf(invocation, context) { shelf, bytes in
            try await shelf.install(bytes, actor: KitCommands.actor, reason: why, nowMs: now)
        }
        report(trial.check, "version \(template.version) is active", invocation, context)
        return .ok
    }

    private static let useTemplate = Command(
        CommandSyntax(
            "template use", "have drafts made with a version of before",
            operands: [.needed("VERSION", "as `quittance template list` shows it; 0 for the file that was there before any was installed")],
            options: [KitCommands.reason])
    ) { invocation, context in
        let (why, now) = (invocation.value("--reason") ?? "", context.nowMs())
        let version = try version(invocation.operands[0])
        try await KitCommands.write(context) { _, connection in
            try DocumentTemplateVersion.activate(version, actor: KitCommands.actor, reason: why, nowMs: now, in: connection)
        }
        context.output.line("drafts are made with template \(version)")
        return .ok
    }

    private static func withShelf<Value: Sendable>(
        _ invocation: Invocation, _ context: CommandContext, _ body: (TemplateShelf, [UInt8]) async throws -> Value
    ) async throws -> Value {
        let bytes = try SmallFile.read(invocation.operands[0], limit: TemplateShelf.sizeMax)
        return try await context.withDatabase { database in
            let pool = BlockingPool(name: "templates", threads: 1)
            defer { pool.close() }
            let shelf = TemplateShelf(
                database: database, files: PrivateFiles(root: context.settings.privateMediaRoot, pool: pool),
                templates: DocumentTemplates(python: context.settings.docxPython, script: "deploy/docx/fill_template.py", processes: 1))
            do {
                return try await body(shelf, bytes)
            } catch let error as KitActionError {
                throw CommandFailure(.failed, error.description)
            }
        }
    }

    private static func report(_ check: DocumentTemplates.Check, _ word: String, _ invocation: Invocation, _ context: CommandContext) {
        if invocation.wantsJSON {
            return context.output.json([
                "found": .array(check.found.map(JSON.string)), "missing": .array(check.missing.map(JSON.string)),
                "unknown": .array(check.unknown.map(JSON.string)),
            ])
        }
        context.output.line("\(check.found.count) variables, \(word).")
        if !check.missing.isEmpty { context.output.line("It leaves out: \(check.missing.joined(separator: ", ")).") }
    }
}
