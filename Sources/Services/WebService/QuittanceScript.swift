/// `quittance.js`: what other sites' pages follow and start payments with, and its types. The path names the version of what it offers:
/// what a page relies on does not change under it.
enum QuittanceScript {
    static let path = "/js/v1/quittance.js"
    static let typesPath = "/js/v1/quittance.d.ts"

    static let routes = [
        Route.asset(path, "text/javascript", script, isForAllSites: true), Route.asset(typesPath, "text/plain", types, isForAllSites: true),
    ]

    static let script = #"""
        /*! quittance.js 1: follows and starts payments of Quittance by their payment link. */
        (function (root) {
          "use strict";

          // The link as it was given: an address that ends in /pay/<token>.
          function base(link) {
            var text = String(link).replace(/[?#].*$/, "").replace(/\/+$/, "");
            if (!/\/pay\/[A-Za-z0-9_-]+$/.test(text)) throw new TypeError("quittance: not a payment link");
            return text;
          }

          function problem(status, body, retryAfter) {
            var error = new Error((body && (body.detail || body.title)) || "quittance: no answer (" + status + ")");
            error.name = "QuittanceError";
            error.status = status;
            error.problem = body || null;
            error.retryAfter = retryAfter || null;
            return error;
          }

          function call(link, path, body) {
            var options = { cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer", headers: { Accept: "application/json" } };
            if (body) {
              options.method = "POST";
              options.headers["Content-Type"] = "application/json";
              options.body = JSON.stringify(body);
            }
            return fetch(base(link) + path, options).catch(function () { throw problem(0); }).then(function (answer) {
              return answer.json().catch(function () { return null; }).then(function (json) {
                if (answer.ok && json) return json;
                throw problem(answer.status, json, Number(answer.headers.get("Retry-After")));
              });
            });
          }

          // A second click while the first one is under way gets the first one's answer.
          var underWay = {};
          function once(link, path, choice) {
            var body = {};
            [
              "provider", "method", "network", "phone", "otp", "customer_address", "customer_city", "customer_country", "customer_state",
              "customer_zip_code"
            ].forEach(function (name) { if (choice && choice[name]) body[name] = choice[name]; });
            var key = base(link) + path + JSON.stringify(body);
            if (!underWay[key]) {
              var forget = function () { delete underWay[key]; };
              underWay[key] = call(link, path, body);
              underWay[key].then(forget, forget);
            }
            return underWay[key];
          }

          function initiate(link, choice) { return once(link, "/initiate", choice); }
          function retry(link, choice) { return once(link, "/retry", choice); }
          function status(link) { return call(link, "/status"); }
          function choices(link, country) {
            return call(link, "/choices" + (country ? "?country=" + encodeURIComponent(country) : ""));
          }

          // Listens, and asks again and again where it cannot listen: seldom, and more seldom the longer it lasts.
          function watch(link, onChange, options) {
            var from = base(link), settings = options || {}, source = null, timer = null, isOver = false, last = null, pause = 2000, faults = 0;
            var settle, fail;
            var finished = new Promise(function (resolve, reject) { settle = resolve; fail = reject; });
            finished.catch(function () {});

            function stop() {
              isOver = true;
              if (source) source.close();
              if (timer) clearTimeout(timer);
              source = timer = null;
            }
            function tell(now) {
              if (isOver) return;
              var change = { payment: now.payment, status: now.status, final: now.final === true, at: now.at || now.updated_at };
              var isNew = change.status !== last;
              last = change.status;
              if (change.final) stop();
              if (isNew && onChange) onChange(change);
              if (change.final) settle(change);
            }
            function ask() {
              timer = null;
              if (isOver) return;
              status(from).then(function (now) {
                tell(now);
                later();
              }, function (error) {
                if (error.status === 404 || error.status === 410) {
                  stop();
                  if (settings.onError) settings.onError(error);
                  return fail(error);
                }
                if (error.retryAfter) pause = Math.max(pause, error.retryAfter * 1000);
                later();
              });
            }
            function later() {
              if (isOver) return;
              timer = setTimeout(ask, pause * (0.8 + Math.random() * 0.4));
              pause = Math.min(pause * 1.5, 30000);
            }
            function poll() {
              if (source) source.close();
              source = null;
              if (!isOver && !timer) ask();
            }
            if (typeof root.EventSource !== "function" || settings.poll) {
              poll();
            } else {
              source = new root.EventSource(from + "/events");
              source.addEventListener("status", function (event) {
                faults = 0;
                tell(JSON.parse(event.data));
              });
              source.onerror = function () {
                // It connects anew by itself, unless it was refused; a way that cuts it off again and again is none.
                faults += 1;
                if (source && (source.readyState === 2 || faults > 3)) poll();
              };
            }
            return { stop: stop, finished: finished };
          }

          var WORDS = {
            fr: { pay: "Payer", wait: "Paiement en cours…", paid: "Payé", closed: "Paiement clos", over: "Reprendre le paiement", bad: "Lien expiré" },
            en: { pay: "Pay", wait: "Payment under way…", paid: "Paid", closed: "Payment closed", over: "Try the payment again", bad: "Link expired" }
          };

          // <script src=".../quittance.js" data-payment-link="..."> becomes a button that leads to the payment, and says where it stands.
          function widget(script) {
            var link = base(script.dataset.paymentLink);
            var language = script.dataset.language || (/^fr/.test(document.documentElement.lang || navigator.language) ? "fr" : "en");
            var words = WORDS[language] || WORDS.en;
            var button = document.createElement("button");
            button.type = "button";
            button.className = "quittance-button";
            button.textContent = script.dataset.label || words.pay;
            button.setAttribute("aria-live", "polite");
            button.addEventListener("click", function () { root.location.assign(link); });
            script.parentNode.insertBefore(button, script.nextSibling);
            watch(link, function (now) {
              var isDone = now.final && ["failed", "cancelled", "expired"].indexOf(now.status) < 0;
              button.dataset.status = now.status;
              button.disabled = isDone;
              if (isDone) button.textContent = now.status === "paid" ? words.paid : words.closed;
              else if (now.final) button.textContent = words.over;
              else if (now.status !== "created") button.textContent = words.wait;
              button.dispatchEvent(new CustomEvent("quittance:status", { bubbles: true, detail: now }));
            }, {
              onError: function () {
                button.disabled = true;
                button.textContent = words.bad;
              }
            });
            return button;
          }

          var api = { version: 1, initiate: initiate, status: status, watch: watch, retry: retry, choices: choices, widget: widget };
          if (typeof module === "object" && module.exports) module.exports = api;
          else root.Quittance = api;
          var own = typeof document === "object" && document.currentScript;
          if (own && own.dataset.paymentLink) widget(own);
        })(typeof globalThis === "object" ? globalThis : self);

        """#

    static let types = #"""
        // Types of quittance.js 1.
        export as namespace Quittance;

        export const version: 1;

        export type PaymentStatus =
          | "created" | "pending" | "processing" | "authorised" | "paid" | "partially_paid" | "failed" | "cancelled" | "expired"
          | "conflicted" | "partially_refunded" | "refunded" | "charged_back";

        /** Where a payment stands, as a watcher is told. `final`: nothing more is to come that a customer would wait for. */
        export interface StatusChange {
          payment: string;
          status: PaymentStatus;
          final: boolean;
          /** RFC 3339. */
          at: string;
        }

        export interface Status {
          payment: string;
          status: PaymentStatus;
          final: boolean;
          /** Decimal texts, such as "12500" or "3.00". */
          amount: string;
          currency: string;
          captured: string;
          description: string;
          language: "fr" | "en";
          /** Whether the link may start a payment, or only look. */
          may_pay: boolean;
          updated_at: string;
          link_expires_at: string;
        }

        /** What the customer chose, from `choices`. */
        export interface Choice {
          provider: string;
          /** As the choice says it. */
          method?: string;
          network?: string;
          /** International form: +2290166000000. */
          phone?: string;
          /** The operator's code, where the network needs one. */
          otp?: string;
          /** What a way for cards alone may name in its `needs`. */
          customer_address?: string;
          customer_city?: string;
          customer_country?: string;
          customer_state?: string;
          customer_zip_code?: string;
        }

        export interface Started {
          payment: string;
          status: PaymentStatus;
          provider: string;
          /** Where to send the customer: the provider's page, or one of ours that waits. */
          payment_url: string | null;
          step: { kind: "redirect" | "widget" | "approve" | "transfer"; fields: { [name: string]: string } } | null;
          qr_code: string | null;
          expires_at: string | null;
        }

        export interface Way {
          method: string;
          network: string | null;
          label: string;
          countries: string[];
          flow: "redirect" | "widget" | "approve" | "transfer";
          /** Fields of `Choice` that must be told. */
          needs: string[];
        }

        export interface Choices {
          /** The country that the choices are for; null for all. */
          country: string | null;
          countries: { code: string; name: string }[];
          choices: { provider: string; method: string | null; label: string; ways: Way[] }[];
        }

        /** What every promise here is rejected with. */
        export interface QuittanceError extends Error {
          name: "QuittanceError";
          /** Of the answer; 0 when there was none. 404: no such link; 410: the link is over; 422: `problem.errors` names the fields. */
          status: number;
          problem: { title: string; status: number; detail?: string; errors?: { field: string; rule: string }[] } | null;
          /** Seconds. */
          retryAfter: number | null;
        }

        export interface Watch {
          stop(): void;
          /** Resolved with the final status; rejected when the link is no good. */
          finished: Promise<StatusChange>;
        }

        export interface WatchOptions {
          /** Ask again and again instead of listening. */
          poll?: boolean;
          /** The link is no good (any more). */
          onError?(error: QuittanceError): void;
        }

        /** Starts the payment as chosen. The same choice again leads to the same attempt. */
        export function initiate(link: string, choice: Choice): Promise<Started>;

        /** Starts anew; what still waits gives way. */
        export function retry(link: string, choice: Choice): Promise<Started>;

        export function status(link: string): Promise<Status>;

        /** Tells the present status and each change, by server-sent events or else by asking, until the final one. */
        export function watch(link: string, onChange: (now: StatusChange) => void, options?: WatchOptions): Watch;

        /** The ways to pay that fit amount and country; without a country those of the customer's phone number, "all" for every one. */
        export function choices(link: string, country?: string): Promise<Choices>;

        /** Puts a button behind a script element that has `data-payment-link`. It does so by itself for its own. */
        export function widget(script: HTMLScriptElement): HTMLButtonElement;

        """#
}
