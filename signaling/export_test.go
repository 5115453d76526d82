package signaling

// ReadInventoryUpTo is ReadInventory with another limit of the whole.
var ReadInventoryUpTo = readInventory
