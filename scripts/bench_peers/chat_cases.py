#!/usr/bin/env python3
"""Writes test/core/chat/cases.json: what transformers renders with the templates beside it; and masks.json: ids and
assistant masks of the tokenizer in recipes/data/chat.

    scripts/bench_peers/chat_cases.py            (needs transformers and jinja2)

Each case names a template and holds the arguments, and the text, or true under "raises".
"""
import json
import pathlib

from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "test" / "core" / "chat"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a place, \"now\" & <here>", "parameters": {
        "type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "Stadt, z. B. Zürich"},
            "days": {"type": "integer", "default": 1, "minimum": 0.5},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}}}}}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "Time", "parameters": {"type": "object", "properties": {}},
                                          "return": {"type": "string"}}}


def say(role, content, **more):
    return {"role": role, "content": content, **more}


def call(name, arguments, number=1):
    return {"type": "function", "id": f"call{number:05}", "function": {"name": name, "arguments": arguments}}


SYSTEM = say("system", "Answer in rhymes.\n ")
ONE = [say("user", "Hi, wie geht's?  "), say("assistant", "  Fine — danke! 你好\n")]
TALK = ONE + [say("user", "<b>\"q\"</b> & 1 < 2"), say("assistant", "It's\ttrue.")]
TOOLED = [say("user", "Weather?"),
          say("assistant", "", tool_calls=[call("get_weather", {"city": "Zürich", "days": 2, "deep": {"x": [1, 2.5, None, True]}})]),
          say("tool", "{\"sun\": 1e-7}", tool_call_id="call00001", name="get_weather"),
          say("assistant", "Sunny."), say("user", "Thanks"), say("assistant", "Welcome")]
TWICE = [say("user", "Both?"),
         say("assistant", "I look.", tool_calls=[call("get_weather", {"city": "B"}), call("clock", {}, 2)]),
         say("tool", "rain", tool_call_id="call00001"), say("tool", "12:00", tool_call_id="call00002"), say("assistant", "Rain at noon.")]
THOUGHT = [say("user", "2+2?"), say("assistant", "<think>\nadd them\n</think>\n\n4"), say("user", "And 3+3?"),
           say("assistant", "6", reasoning_content="\nadd again\n")]
PARTS = [say("user", [{"type": "text", "text": " look "}, {"type": "image"}]), say("assistant", [{"type": "text", "text": "seen"}])]
CHATS = {"one": ONE, "talk": TALK, "system": [SYSTEM] + TALK, "tooled": TOOLED, "twice": TWICE, "thought": THOUGHT, "parts": PARTS,
         "system_tooled": [SYSTEM] + TOOLED, "user": ONE[:1], "system_user": [SYSTEM, ONE[0]], "odd": TALK[1:], "users": [ONE[0], ONE[0]],
         "null": [say("user", "x"), say("assistant", None, tool_calls=None)]}


def main():
    cases = []
    for file in sorted(FOLDER.glob("*.jinja")):
        for chat, messages in CHATS.items():
            for tools in (None, [WEATHER, CLOCK]):
                if tools and chat in ("parts", "odd", "null", "one"):
                    continue
                for variables in ({}, {"enable_thinking": False}, {"tools_in_user_message": False}, {"builtin_tools": ["clock", "code_interpreter"]}):
                    if any(name not in file.read_text() for name in variables):
                        continue
                    prompt = chat in ("user", "system_user", "users") or (chat == "thought" and bool(variables))
                    cases.append(run(file, chat, messages, tools, variables, prompt))
    text = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    chats = json.dumps(CHATS, ensure_ascii=False, indent=1)
    (FOLDER / "cases.json").write_text(
        f'{{"tokens": {json.dumps(TOKENS)},\n"tools": {json.dumps([WEATHER, CLOCK], ensure_ascii=False)},\n"chats": {chats},\n"cases": [\n{text}\n]}}\n')
    write_masks()
    print(len(cases), "cases,", sum("raises" in case for case in cases), "of them raise")


def run(file, chat, messages, tools, variables, prompt):
    case = {"template": file.stem, "chat": chat, "tools": bool(tools), "prompt": prompt, "variables": variables}
    plain = [{k: v for k, v in message.items() if v is not None} for message in messages]  # as apply_chat_template does
    try:
        given = {"date_string": "26 Jul 2024", **TOKENS, **variables}
        texts, _ = render_jinja_template([plain], tools=tools, chat_template=file.read_text(), add_generation_prompt=prompt, **given)
        case["text"] = texts[0]
    except Exception as error:  # whatever the template or Python raises
        case["raises"] = type(error).__name__
    return case


def write_masks():
    tokenizer = AutoTokenizer.from_pretrained(str(ROOT / "recipes" / "data" / "chat" / "tokenizer"))
    lines = []
    for chat in ("one", "talk", "system", "tooled", "twice", "system_tooled"):
        for tools in (None, [WEATHER, CLOCK]):
            made = tokenizer.apply_chat_template(CHATS[chat], tools=tools, return_dict=True, return_assistant_tokens_mask=True)
            lines.append(json.dumps({"messages": CHATS[chat], "tools": tools, "input_ids": made["input_ids"],
                                     "assistant_masks": made["assistant_masks"]}, ensure_ascii=False))
    (FOLDER / "masks.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
