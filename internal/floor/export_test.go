package floor

// Talk serves one connection of Raw.
var Talk = talk
