package server

// Capped is a listener with caps of its own.
var Capped = capped
