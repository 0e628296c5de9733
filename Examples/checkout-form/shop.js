// A checkout of a shop's own design: what Quittance offers is chosen here, and the customer stays on this page where that is possible.
(function () {
  "use strict";
  var order = document.getElementById("order"), pay = document.getElementById("pay"), way = document.getElementById("way");
  var otp = document.getElementById("otp-field"), status = document.getElementById("status");
  var link = null, ways = [], hasFailed = false;

  function say(text) { status.textContent = text; }
  function fault(error) { say(error.message || "That did not work. Please try again."); }

  // 1. The shop's own server creates the payment, and tells the browser its link: the API key stays there.
  order.addEventListener("submit", function (event) {
    event.preventDefault();
    fetch(order.action, { method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(new FormData(order)) })
      .then(function (answer) { return answer.json(); })
      .then(function (made) {
        if (!made.link) throw new Error(made.error);
        link = made.link;
        return Quittance.choices(link);
      }).then(offer).catch(fault);
  });

  // 2. The ways to pay that fit the amount and the customer's country.
  function offer(offered) {
    ways = [];
    offered.choices.forEach(function (choice) {
      var networks = choice.ways.filter(function (one) { return one.needs.indexOf("phone") >= 0 && one.network; });
      // Cards that need an address are left to the payment's own page.
      if (choice.method === "credit_card" && choice.ways[0].needs.length) return;
      if (!networks.length) ways.push({ label: choice.label, provider: choice.provider, method: choice.method, needs: [] });
      networks.forEach(function (one) {
        ways.push({ label: one.label, provider: choice.provider, network: one.network, needs: one.needs });
      });
    });
    ways.forEach(function (one, place) { way.add(new Option(one.label, place)); });
    way.onchange = function () { otp.hidden = !ways.length || ways[way.value].needs.indexOf("otp") < 0; };
    way.onchange();
    order.hidden = true;
    pay.hidden = false;
    // 3. Where the payment stands, from now to its end.
    follow();
  }

  pay.addEventListener("submit", function (event) {
    event.preventDefault();
    var chosen = ways[way.value], choice = { provider: chosen.provider };
    if (chosen.method) choice.method = chosen.method;
    if (chosen.network) {
      choice.network = chosen.network;
      choice.phone = order.elements.phone.value;
      if (!otp.hidden) choice.otp = pay.elements.otp.value;
    }
    say("One moment…");
    // A payment that has failed is tried anew, and followed anew.
    (hasFailed ? Quittance.retry : Quittance.initiate)(link, choice).then(function (started) {
      // Some networks refuse while they answer.
      if (/^(failed|cancelled|expired)$/.test(started.status)) return failed(started.status);
      if (started.step && started.step.kind === "approve") {
        pay.hidden = true;
        say(started.step.fields.instruction_en || "Please confirm on your phone.");
        if (hasFailed) follow();
        hasFailed = false;
      } else if (started.payment_url) {
        location.assign(started.payment_url);
      }
    }).catch(fault);
  });

  function failed(status) {
    hasFailed = true;
    pay.hidden = false;
    say("The payment was not made (" + status + "). You can try again.");
  }

  function follow() {
    Quittance.watch(link, function (now) {
      if (now.status === "paid") {
        pay.hidden = true;
        say("Paid. Thank you!");
      } else if (now.final) {
        failed(now.status);
      }
    }, { onError: fault });
  }
})();
