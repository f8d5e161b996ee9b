//! What is said of a document that does not fit the schema, in Chinese and English.
//!
//! Without introspection nothing is said that the caller did not send: names of the schema stay out
//! of it.

use crate::platform::locale::Message;

/// Whole sentences about one fault.
///
/// `kind` is apollo-compiler's name of the rule, `sent` the word in the document where the fault
/// is. `exact` says it in English with names of the schema, where those may be shown.
pub fn explain(kind: &str, sent: &str, exact: Option<String>) -> Message {
    let (zh, en) = match kind {
        "UndefinedField" => ("此类型没有字段 {}", "The type has no field \"{}\"."),
        "UndefinedArgument" => ("没有参数 {}", "There is no argument \"{}\"."),
        "UndefinedInputValue" => ("输入类型没有字段 {}", "The input type has no field \"{}\"."),
        "UndefinedEnumValue" => ("枚举没有值 {}", "The enum has no value \"{}\"."),
        "UndefinedVariable" => ("变量 {} 未声明", "The variable \"{}\" is not declared."),
        "UndefinedFragment" => ("没有片段 {}", "There is no fragment \"{}\"."),
        "UndefinedDirective" => ("没有指令 {}", "There is no directive \"{}\"."),
        "UndefinedDefinition"
        | "UndefinedTypeInNamedFragmentTypeCondition"
        | "UndefinedTypeInInlineFragmentTypeCondition" => {
            ("没有所写的类型", "There is no type of that name.")
        }
        "UniqueVariable" => ("变量 {} 重复声明", "The variable \"{}\" is declared twice."),
        "UniqueArgument" => ("参数 {} 重复", "The argument \"{}\" is given twice."),
        "UniqueDirective" => ("指令 {} 重复", "The directive \"{}\" stands there twice."),
        "RequiredArgument" => ("{} 缺少必需的参数", "\"{}\" lacks a required argument."),
        "RequiredField" => ("输入缺少必需的字段", "The input lacks a required field."),
        "VariableInputType" => (
            "变量的类型应为输入类型",
            "The type of a variable must be an input type.",
        ),
        "UnusedVariable" => ("变量 {} 未使用", "The variable \"{}\" is never used."),
        "UnusedFragment" => ("片段未使用", "The fragment is never used."),
        "UnsupportedLocation" => (
            "指令 {} 不能用在此处",
            "The directive \"{}\" may not be used here.",
        ),
        "UnsupportedValueType" => (
            "值 {} 的类型与所在位置不符",
            "The value {} does not have the type of its place.",
        ),
        "IntCoercionError" | "FloatCoercionError" => {
            ("数字 {} 超出范围", "The number {} is out of range.")
        }
        "MissingSubselection" => (
            "字段 {} 须选择子字段",
            "The field \"{}\" needs a selection of its fields.",
        ),
        "SubselectionOnScalarType" | "SubselectionOnEnumType" => (
            "字段 {} 没有子字段",
            "The field \"{}\" has no fields to select.",
        ),
        "InvalidFragmentTarget" => (
            "片段只能用于对象或接口类型",
            "A fragment stands on an object or an interface only.",
        ),
        "InvalidFragmentSpread" => (
            "此处不会出现该片段的类型",
            "The type of the fragment can never occur here.",
        ),
        "DisallowedVariableUsage" => (
            "参数 {} 的变量类型与所在位置不符",
            "The variable given for \"{}\" does not have the type of its place.",
        ),
        "RecursiveFragmentDefinition" => ("片段包含了自身", "The fragment contains itself."),
        "UndefinedRootOperation" => (
            "不支持此类操作",
            "Operations of this kind are not supported.",
        ),
        "ConflictingFieldType" | "ConflictingFieldName" | "ConflictingFieldArgument" => (
            "字段 {} 有冲突，请用不同的别名",
            "The fields \"{}\" conflict, use different aliases.",
        ),
        _ => ("查询有误", "The query is not valid."),
    };
    let fill = |text: &str| text.replace("{}", sent);
    // Some of the exact sentences lack their full stop, and one a quotation mark.
    let exact = exact.map(|text| match text.ends_with(['.', '?']) {
        true => text
            .replace(" and \"", "\" and \"")
            .replace("\"\" and", "\" and"),
        false => text + ".",
    });
    Message::new(format!("{}。", fill(zh)), exact.unwrap_or_else(|| fill(en)))
}
