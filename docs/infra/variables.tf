variable "resource_group_name" {
  description = "Existing resource group for the storage accounts and the access connector."
  type        = string
}

variable "location" {
  description = "Azure region, such as westeurope: that of the workspace."
  type        = string
}

variable "lake_account_name" {
  description = "Name of the storage account for tables, unique in Azure."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{3,24}$", var.lake_account_name))
    error_message = "A storage account's name has 3 to 24 lowercase letters and digits."
  }
}

variable "models_account_name" {
  description = "Name of the storage account for published models, unique in Azure."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{3,24}$", var.models_account_name)) && var.models_account_name != var.lake_account_name
    error_message = "A storage account's name has 3 to 24 lowercase letters and digits, and the two accounts differ."
  }
}

variable "group" {
  description = "Group of the workspace whose members run the harness: people and service principals."
  type        = string
}

variable "name" {
  description = "Name of the access connector, the storage credential, the catalog, the cluster policy and the secret scope."
  type        = string
  default     = "harness"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{2,29}$", var.name))
    error_message = "Use 3 to 30 lowercase letters, digits and underscores, starting with a letter."
  }
}

variable "schema" {
  description = "Name of the schema in the catalog."
  type        = string
  default     = "runs"
}

variable "replication" {
  description = "Replication of the storage accounts."
  type        = string
  default     = "LRS"
}

variable "shared_key_enabled" {
  description = "Whether the storage accounts accept their account keys. Leave it off unless an account has auth = \"key\"."
  type        = bool
  default     = false
}

variable "contributors" {
  description = "Object ids of service principals and users in Entra that use the storage accounts without Databricks, such as for local runs."
  type        = set(string)
  default     = []
}

variable "runtimes" {
  description = "Runtimes that the cluster policy allows; the first one is the default."
  type        = list(string)
  default     = ["16.4.x-cpu-ml-scala2.12", "15.4.x-cpu-ml-scala2.12"]
}

variable "node_types" {
  description = "Node types that the cluster policy allows; the first one is the default."
  type        = list(string)
  default     = ["Standard_D4ds_v5", "Standard_D8ds_v5"]
}

variable "max_workers" {
  description = "Most workers that the cluster policy allows."
  type        = number
  default     = 8
}

variable "key_vault" {
  description = "Key vault whose secrets the scope has (default: the scope keeps its own)."
  type = object({
    resource_id = string
    dns_name    = string
  })
  default = null
}

variable "tags" {
  description = "Tags of the Azure resources."
  type        = map(string)
  default     = {}
}
