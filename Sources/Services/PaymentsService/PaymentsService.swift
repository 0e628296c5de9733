enum PaymentsServiceRoom {}
